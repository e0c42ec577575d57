package gnss

// message is the nth of its kind in an epoch.
type message struct{ kind, nth uint8 }

// maxKinds bounds the kinds of messages that a cycle tells apart.
const maxKinds = 16

// lessons is how many epochs in a row must end with the same message, and not by what was known, before that is learned. It is
// no fewer because noise takes last messages too: what ends epochs too early costs a fix what comes after.
const lessons = 3

// cycle follows the messages of an epoch and learns by which one a receiver ends it.
type cycle struct {
	open      bool            // an epoch has begun and is not complete
	known     bool            // the message that ends one has been learned
	ender     message         // it
	candidate message         // what may be it instead
	times     int             // how many epochs in a row have ended with the candidate
	last      message         // of this epoch
	seen      [maxKinds]uint8 // how many of each kind this epoch has had; kept until the next begins
}

// begin begins an epoch.
func (c *cycle) begin() {
	c.open = true
	c.seen = [maxKinds]uint8{}
}

// add counts a message of the open epoch, and reports whether it ends it, which it can if the epoch says enough to be one.
func (c *cycle) add(kind uint8, enough bool) (ends bool) {
	c.count(kind)
	if enough && c.known && c.last == c.ender {
		c.open, c.times = false, 0
		return true
	}
	return false
}

// late counts a message that came after its epoch had ended: no epoch ends before it.
func (c *cycle) late(kind uint8) {
	c.count(kind)
	c.learn(c.last)
}

func (c *cycle) count(kind uint8) {
	if c.seen[kind] < 255 {
		c.seen[kind]++
	}
	c.last = message{kind, c.seen[kind]}
}

// end ends an epoch that nothing has ended but the next, or quiet.
func (c *cycle) end() {
	c.open = false
	if c.last != c.candidate {
		c.candidate, c.times = c.last, 0
	}
	if c.times++; c.times == lessons {
		c.learn(c.last)
	}
}

func (c *cycle) learn(m message) { c.ender, c.known, c.times = m, true, 0 }
