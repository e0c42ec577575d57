package pipe_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/internal/pipe"
	"github.com/fulmar-io/fulmar/link/internal/queue"
)

// loop is a transport that hands what is published to its own inbox, and that waits for go before each message.
type loop struct {
	*pipe.End
	inbox *queue.Queue[[]byte]
	may   chan struct{}
}

func (l *loop) Publish(_ string, message []byte) error {
	select {
	case <-l.may:
	case <-l.Lost():
		return l.Cause()
	}
	l.inbox.Put(append([]byte(nil), message...), len(message))
	return nil
}

func (l *loop) Close() { l.Because(pipe.ErrClosedHere) }

func newLoop() (*loop, *pipe.Conn) {
	l := &loop{End: pipe.NewEnd(), inbox: queue.New[[]byte](10, 1000), may: make(chan struct{}, 10)}
	return l, pipe.NewConn(l, pipe.Options{Name: "loop", Limit: 100, Inbox: l.inbox})
}

func Example() {
	ctx := context.Background()
	l, c := newLoop()
	l.may <- struct{}{}
	if err := c.Send(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	m, err := c.Recv(ctx)
	fmt.Printf("%q %v\n", m, err)
	fmt.Println(c.Send(ctx, make([]byte, 101)))
	fmt.Println(c.Close())
	fmt.Println(c.Send(ctx, []byte("hello")))
	// Output:
	// "hello" <nil>
	// loop: send 101 bytes: message too large for the link
	// <nil>
	// loop: send: link closed: closed here
}

// TestInterruptedSendGoesOn: the message is the Conn's own, and the next Send waits for it.
func TestInterruptedSendGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := newLoop()
		defer func() { _ = c.Close() }()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		mine := []byte("first")
		if err := c.Send(short, mine); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		copy(mine, "XXXXX")
		second := make(chan error, 1)
		go func() { second <- c.Send(t.Context(), []byte("second")) }()
		synctest.Wait()
		if len(second) != 0 {
			t.Fatal("the second message overtook the first")
		}
		l.may <- struct{}{}
		l.may <- struct{}{}
		if err := <-second; err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"first", "second"} {
			if m, err := c.Recv(t.Context()); err != nil || string(m) != want {
				t.Errorf("%q, %v, want %q", m, err, want)
			}
		}
	})
}

// TestLossEndsEverything: with a message that is being written and one that waits.
func TestLossEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := newLoop()
		results := make(chan error, 3)
		for range 2 {
			go func() { results <- c.Send(t.Context(), []byte("x")) }()
		}
		go func() { _, err := c.Recv(t.Context()); results <- err }()
		synctest.Wait()
		l.Because(errors.New("the cable is cut"))
		for range 3 {
			if err := <-results; !errors.Is(err, link.ErrClosed) || !strings.Contains(err.Error(), "cable") {
				t.Errorf("%v, want ErrClosed and the cause", err)
			}
		}
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
}

// TestSteady: a peer that takes a little now and then is slow; one that takes nothing is dead.
func TestSteady(t *testing.T) {
	here, there := net.Pipe()
	defer func() { _ = there.Close() }()
	s := pipe.NewSteady(here, 100*time.Millisecond)
	read := make(chan int)
	go func() {
		defer close(read)
		b := make([]byte, 16<<10)
		total := 0
		for range 4 {
			n, err := there.Read(b)
			if total += n; err != nil {
				return
			}
		}
		read <- total
	}()
	n, err := s.Write(make([]byte, 5*16<<10))
	if err == nil || n != 4*16<<10 || !strings.Contains(err.Error(), "took nothing") || <-read != n {
		t.Errorf("%d bytes, %v", n, err)
	}
	if s.Cause() == nil || s.SetWriteDeadline(time.Time{}) != nil {
		t.Error("the cause is not told, or a library may set deadlines")
	}
	s.Hurry()
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("a connection that is being closed waits for a peer that takes nothing")
	}
}
