package ledger

import "fmt"

// Reason says why records were declared lost.
type Reason uint8

// The reasons. The numbers are part of the frame format.
const (
	Overflow   Reason = 1 // the ring was full
	Quota      Reason = 2 // the spool was full and this class yielded
	Expired    Reason = 3 // older than its class may become
	Corrupted  Reason = 4 // damaged on disk
	Unclean    Reason = 5 // the machine stopped before it was spooled; at most this many
	Refused    Reason = 6 // the ground will not take it, for good
	reasonsEnd        = 7
)

// Reasons is the size of an array indexed by Reason.
const Reasons = reasonsEnd

// Valid reports whether r is one of the reasons.
func (r Reason) Valid() bool { return r >= Overflow && r < reasonsEnd }

// String returns the reason in one word.
func (r Reason) String() string {
	switch r {
	case Overflow:
		return "overflow"
	case Quota:
		return "quota"
	case Expired:
		return "expired"
	case Corrupted:
		return "corrupted"
	case Unclean:
		return "unclean"
	case Refused:
		return "refused"
	}
	return "invalid"
}

// Account sums what happened to numbered records. Only Check is allowed to doubt it.
type Account struct {
	Numbered  uint64
	Delivered uint64 // committed and acknowledged by the ground
	Waiting   uint64 // held, not yet delivered
	LostBy    [Reasons]uint64
}

// Lost is the sum over all reasons.
func (a Account) Lost() uint64 {
	n := uint64(0)
	for _, v := range a.LostBy {
		n += v
	}
	return n
}

// Add adds b to a.
func (a *Account) Add(b Account) {
	a.Numbered += b.Numbered
	a.Delivered += b.Delivered
	a.Waiting += b.Waiting
	for i, v := range b.LostBy {
		a.LostBy[i] += v
	}
}

// Check returns an error that shows the sums if they do not balance.
func (a Account) Check() error {
	if a.Numbered == a.Delivered+a.Waiting+a.Lost() {
		return nil
	}
	return fmt.Errorf("ledger: %d numbered, but %d delivered + %d waiting + %d lost", a.Numbered, a.Delivered, a.Waiting, a.Lost())
}
