package delivery

import "time"

// budget holds a link to a number of bytes in any hour: the minute that is running and the sixty before it together never have more.
// So what is spent comes back an hour to an hour and a minute later.
type budget struct {
	limit  int64
	minute int64 // that is running; an hour before the origin of time is 0
	spent  History
	sum    int64
}

// window is how many minutes an hour can touch.
const window = 61

// History is the bytes that were spent, by the minute; what Machine.Spent returns begins with the minute that is running.
type History [window]int64

// urgentShare of a budget is for urgent frames alone.
const urgentShare = 10

// pass lets time pass.
func (b *budget) pass(now time.Duration) {
	minute := int64(now/time.Minute) + window
	for steps := min(minute-b.minute, window); steps > 0; steps-- {
		b.minute++
		place := &b.spent[b.minute%window]
		b.sum -= *place
		*place = 0
	}
	b.minute = max(b.minute, minute)
}

func (b *budget) spend(now time.Duration, n int64) {
	if b.limit > 0 {
		b.pass(now)
		b.spent[b.minute%window] += n
		b.sum += n
	}
}

// history returns what was spent by age, in minutes.
func (b *budget) history(now time.Duration) (h History) {
	b.pass(now)
	for age := range int64(len(h)) {
		h[age] = b.spent[(b.minute-age)%window]
	}
	return h
}

// recall takes what was spent before, by age.
func (b *budget) recall(now, ago time.Duration, h *History) {
	b.pass(now)
	for i, n := range h {
		if age := int64(i) + int64(ago/time.Minute); age < window {
			b.spent[(b.minute-age)%window] += n
			b.sum += n
		}
	}
}

// most is what may be spent in an hour, by frames that are urgent or are not.
func (b *budget) most(urgent bool) int64 {
	if urgent {
		return b.limit
	}
	return b.limit - b.limit/urgentShare
}

// room returns when n bytes may be spent, which is at once if it is not after now. ok is false if never.
func (b *budget) room(now time.Duration, n int64, urgent bool) (at time.Duration, ok bool) {
	if b.limit == 0 {
		return now, true
	}
	if n > b.most(urgent) {
		return 0, false
	}
	b.pass(now)
	sum := b.sum
	for age := int64(window - 1); age > 0 && sum+n > b.most(urgent); age-- {
		sum -= b.spent[(b.minute-age)%window]
		at = time.Duration(b.minute-age) * time.Minute
	}
	if sum+n > b.most(urgent) { // all of it was spent in this minute
		at = time.Duration(b.minute) * time.Minute
	}
	return max(at, now), true
}
