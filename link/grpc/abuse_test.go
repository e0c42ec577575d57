package grpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/grpc"
	"github.com/fulmar-io/fulmar/secure/admission"
	"github.com/fulmar-io/fulmar/secure/identity"
	"github.com/fulmar-io/fulmar/secure/identity/identitytest"
)

// siege is a ground that answers everything with the same, and a neighbour that is not to notice what others do there.
type siege struct {
	t         *testing.T
	r         *grpc.Receiver
	f         *identitytest.Fleet
	address   string
	neighbour link.Conn
	said      uint64
}

func besiege(t *testing.T, o grpc.Options) *siege {
	t.Helper()
	s := &siege{t: t, f: identitytest.New(t)}
	o.Keys, o.Logger = s.f.Ground(), quiet()
	s.r = listen(t, "127.0.0.1:0", o)
	s.address = strings.TrimPrefix(s.r.String(), "grpcs://")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for {
			m, err := s.r.Recv(context.Background())
			if err != nil {
				return
			}
			_ = s.r.Send(context.Background(), m.Device, m.Message) // who is gone is not answered
		}
	}()
	t.Cleanup(func() { s.r.Close(); <-answered })
	s.neighbour = dial(t, dialer(s.f, s.r.String(), "neighbour"))
	s.goesOn()
	return s
}

// goesOn fails if the neighbour's stream does not.
func (s *siege) goesOn() {
	s.t.Helper()
	s.said++
	message := binary.BigEndian.AppendUint64(nil, s.said)
	if err := s.neighbour.Send(within(s.t), message); err != nil {
		s.t.Fatalf("the neighbour: %v", err)
	}
	if got, err := s.neighbour.Recv(within(s.t)); err != nil || !bytes.Equal(got, message) {
		s.t.Fatalf("the neighbour has %x, %v, want %x", got, err, message)
	}
}

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the libraries' pools hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// enter is a connection of a device of the fleet, whose TLS is as it should be.
func (s *siege) enter(device string) *tls.Conn {
	s.t.Helper()
	config := s.f.Device(device).ClientTLS(identity.Ground)
	config.NextProtos = []string{"h2"}
	c, err := tls.Dial("tcp", s.address, config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// speaker speaks HTTP/2 as it likes.
type speaker struct {
	*http2.Framer
	c     *tls.Conn
	hpack *hpack.Encoder
	block bytes.Buffer
}

func (s *siege) speak(device string) *speaker {
	s.t.Helper()
	p := &speaker{c: s.enter(device)}
	p.Framer = http2.NewFramer(p.c, p.c)
	p.AllowIllegalWrites, p.ReadMetaHeaders = true, hpack.NewDecoder(4096, nil)
	p.hpack = hpack.NewEncoder(&p.block)
	_, err := io.WriteString(p.c, http2.ClientPreface)
	if err = errors.Join(err, p.WriteSettings()); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// headers returns a request's, with some of them changed.
func (p *speaker) headers(changed map[string]string) []byte {
	p.block.Reset()
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":path", "/fulmar.v1.Link/Carry"}, {":authority", "x"},
		{"content-type", "application/grpc"}, {"te", "trailers"}} {
		value, ok := changed[h[0]]
		if !ok {
			value = h[1]
		}
		_ = p.hpack.WriteField(hpack.HeaderField{Name: h[0], Value: value})
	}
	for name, value := range changed {
		if !strings.Contains(":method :path content-type", name) {
			_ = p.hpack.WriteField(hpack.HeaderField{Name: name, Value: value})
		}
	}
	return p.block.Bytes()
}

// begin opens a stream. Errors of writing are of a connection that is closed already, which the end shows.
func (p *speaker) begin(id uint32, changed map[string]string) {
	_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.headers(changed), EndHeaders: true})
}

// end reads until the stream or the connection is over, and returns how.
func (p *speaker) end() string {
	for {
		f, err := p.ReadFrame()
		if err != nil && isTimeout(err) {
			return "still open"
		}
		if err != nil {
			return "closed"
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				if h.Name == "grpc-status" && h.Value != "0" || h.Name == ":status" && h.Value != "200" {
					return h.Name + " " + h.Value
				}
			}
		case *http2.RSTStreamFrame:
			return "reset"
		case *http2.GoAwayFrame:
			return "goaway"
		}
	}
}

// prefix is what precedes a message of gRPC.
func prefix(compressed byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{compressed}, n)
}

// The wire is what doc.go says: whoever writes these frames in any language, with the certificate of a device, has a stream.
func TestTheWireIsWhatIsDocumented(t *testing.T) {
	s := besiege(t, grpc.Options{})
	p := s.speak("foreign")
	p.begin(1, nil)
	message := []byte("a message of the link")
	if err := p.WriteData(1, false, append(prefix(0, uint32(len(message))), message...)); err != nil {
		t.Fatal(err)
	}
	var known string
	var got []byte
	for len(got) < 5+len(message) {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				if h.Name == "fulmar-device" {
					known = h.Value
				}
			}
		case *http2.DataFrame:
			got = append(got, f.Data()...)
		}
	}
	if known != "foreign" || !bytes.Equal(got, append(prefix(0, uint32(len(message))), message...)) {
		t.Errorf("known as %q, answered %q", known, got)
	}
}

// Whatever a device of the fleet says in place of the protocol ends its own connection or stream, and nobody else's.
func TestWhatIsNotTheProtocolEndsTheOneWhoSpeaksIt(t *testing.T) {
	s := besiege(t, grpc.Options{})
	noise := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	before := heap()
	for name, c := range map[string]struct {
		say  func(p *speaker)
		want string // ways to end, any of them
	}{
		"noise":             {func(p *speaker) { _, _ = p.c.Write(noise) }, "closed goaway"},
		"a frame of 16 MiB": {func(p *speaker) { _, _ = p.c.Write(append([]byte{255, 255, 255, 0, 0, 0, 0, 0, 1}, noise...)) }, "closed goaway"},
		"another method":    {func(p *speaker) { p.begin(1, map[string]string{":path": "/fulmar.v1.Link/Steal"}) }, "grpc-status 12"},
		"another service": {func(p *speaker) {
			p.begin(1, map[string]string{":path": "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"})
		}, "grpc-status 12"},
		"no path":               {func(p *speaker) { p.begin(1, map[string]string{":path": "x"}) }, "grpc-status 12"},
		"another verb":          {func(p *speaker) { p.begin(1, map[string]string{":method": "GET"}) }, "reset :status 405"},
		"another content":       {func(p *speaker) { p.begin(1, map[string]string{"content-type": "application/json"}) }, ":status 415"},
		"another device's name": {func(p *speaker) { p.begin(1, map[string]string{"fulmar-device": "neighbour"}) }, "grpc-status 7"},
		"a compression": {func(p *speaker) {
			p.begin(1, map[string]string{"grpc-encoding": "gzip"})
			_ = p.WriteData(1, false, append(prefix(1, 3), 1, 2, 3))
		}, "grpc-status 12"},
		"headers of 12 KiB":        {func(p *speaker) { p.begin(1, map[string]string{"x": strings.Repeat("x", 12<<10)}) }, "reset closed goaway grpc-status 8"},
		"a message one too large":  {func(p *speaker) { p.begin(1, nil); _ = p.WriteData(1, false, prefix(0, link.MaxMessage+1)) }, "grpc-status 8"},
		"a message of 4 GiB":       {func(p *speaker) { p.begin(1, nil); _ = p.WriteData(1, false, prefix(0, 1<<32-1)) }, "grpc-status 8"},
		"a stream of the server's": {func(p *speaker) { p.begin(2, nil) }, "closed goaway"},
		"data without a stream":    {func(p *speaker) { _ = p.WriteData(7, false, noise[:1000]); _ = p.WriteData(0, false, noise[:1000]) }, "closed goaway"},
		"beyond the window": {func(p *speaker) {
			p.begin(1, nil)
			for range 100 {
				_ = p.WriteData(1, false, noise[:16<<10])
			}
		}, "grpc-status 8 reset closed goaway"},
		"headers that never end": {func(p *speaker) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: p.headers(nil)})
			for range 10_000 {
				p.block.Reset()
				_ = p.hpack.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 1000), Sensitive: true})
				if p.WriteContinuation(1, false, p.block.Bytes()) != nil {
					return
				}
			}
		}, "closed goaway"},
		"more streams than one": {func(p *speaker) { p.begin(1, nil); p.begin(3, nil) }, "reset"},
		"too many pings": {func(p *speaker) {
			p.begin(1, nil)
			for range 100 {
				_ = p.WritePing(false, [8]byte{})
			}
		}, "goaway closed"},
	} {
		p := s.speak("rude")
		said := make(chan struct{})
		go func() { defer close(said); c.say(p) }() // the answer is read meanwhile
		if how := p.end(); !strings.Contains(c.want, how) {
			t.Errorf("%s: %s, want one of %s", name, how, c.want)
		}
		p.c.Close()
		<-said
		s.goesOn()
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("the heap has grown by %d KiB", grown>>10)
	}
}

// Bytes that are not even HTTP/2, in place of it.
func TestNoiseBehindTLSIsRefused(t *testing.T) {
	s := besiege(t, grpc.Options{})
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 50 {
		c := s.enter("rude")
		noise := make([]byte, 1+rng.IntN(4096))
		for j := range noise {
			noise[j] = byte(rng.Uint32())
		}
		_, _ = c.Write(noise) // it may be closed before that is through
		if len(noise) < len(http2.ClientPreface) {
			c.CloseWrite()
		}
		if _, err := io.Copy(io.Discard, c); err != nil && isTimeout(err) {
			t.Fatalf("noise %d, %d bytes: still open", i, len(noise))
		}
		c.Close()
	}
	s.goesOn()
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// Streams that are opened and reset, over and over, do not pile up.
func TestAFloodOfResetsIsBounded(t *testing.T) {
	s := besiege(t, grpc.Options{})
	before := heap()
	p := s.speak("rude")
	ended := make(chan string, 1)
	go func() {
		for {
			if _, err := p.ReadFrame(); err != nil {
				ended <- err.Error()
				return
			}
		}
	}()
	for id := uint32(1); id < 40_000; id += 2 {
		p.begin(id, nil)
		if p.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break
		}
	}
	s.goesOn()
	eventually(t, "what the resets took is given back", func() bool { return heap()-before < 2<<20 }) // 20,000 streams of 100 bytes would be that
	p.c.Close()
	<-ended
	s.goesOn()
}

// A message of tiny pieces, whose sender never ends it, costs more than its bytes, for the library keeps something for each; but not much more.
func TestAMessageOfTinyPiecesIsBounded(t *testing.T) {
	s := besiege(t, grpc.Options{})
	before := heap()
	p := s.speak("rude")
	p.begin(1, nil)
	_ = p.WriteData(1, false, prefix(0, link.MaxMessage))
	for range 200_000 { // within the window
		if err := p.WriteData(1, false, []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	// The answer to a ping says that the rest was read. It may come behind others.
	_ = p.WritePing(false, [8]byte{1})
	for {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if ping, ok := f.(*http2.PingFrame); ok && ping.IsAck() {
			break
		}
	}
	grown := heap() - before
	if grown > 8<<20 && !raceDetector { // which has books of its own
		t.Errorf("200,000 bytes cost %d KiB", grown>>10)
	}
	t.Logf("%d KiB", grown>>10)
	s.goesOn()
}

// Who has entered and opens no stream is shown out; the neighbour, whose stream is as idle, is not.
func TestAConnectionWithoutAStreamIsClosed(t *testing.T) {
	s := besiege(t, grpc.Hasty(grpc.Options{}, 500*time.Millisecond))
	idle := s.speak("idle")
	for {
		if _, err := idle.ReadFrame(); err != nil {
			if isTimeout(err) {
				t.Error("it is still open")
			}
			break
		}
	}
	eventually(t, "it is forgotten", func() bool { _, known := s.r.Visitors(); return known == 1 })
	s.goesOn()
}

// How many strangers there may be in the test below, and what admission lets each send.
const strangers, strangerBytes = 64, 64 << 10

// A thousand connections that never finish their handshake, and send as much as they may, take a bounded memory, and no place from who
// knows what to do.
func TestHandshakesThatNeverEndAreBounded(t *testing.T) {
	s := besiege(t, grpc.Options{Strangers: admission.Limits{Strangers: strangers, FromOne: 2 * strangers, PerSecond: -1}})
	// The beginning of a handshake message that would be as long as the library takes, in records that it does.
	body := append([]byte{1, 0, 0xff, 0xff}, make([]byte, strangerBytes)...)
	var hello []byte
	for len(body) > 0 && len(hello) < strangerBytes-8 {
		n := min(len(body), 16<<10, strangerBytes-8-len(hello))
		hello = append(append(hello, 22, 3, 1, byte(n>>8), byte(n)), body[:n]...)
		body = body[n:]
	}
	hello = hello[:strangerBytes-8]
	before := heap()
	const many = 1000
	var closed atomic.Int64
	var wg sync.WaitGroup
	conns := make([]net.Conn, many)
	for i := range conns {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c
		wg.Go(func() {
			_, _ = c.Write(hello) // it may be closed before that is through
			_, _ = io.Copy(io.Discard, c)
			closed.Add(1)
		})
		if i%100 == 50 {
			s.goesOn()
		}
	}
	if strange, _ := s.r.Visitors(); strange > strangers {
		t.Errorf("%d strangers, want %d at most", strange, strangers)
	}
	if grown, most := heap()-before, int64(strangers*512<<10); grown > most {
		t.Errorf("the heap has grown by %d KiB, want %d at most", grown>>10, most>>10)
	} else {
		t.Logf("%d KiB for each of %d strangers", grown>>10/strangers, strangers)
	}
	machine := dial(t, dialer(s.f, s.r.String(), "newcomer"))
	if err := machine.Send(within(t), []byte("through")); err != nil {
		t.Fatal(err)
	}
	if got, err := machine.Recv(within(t)); err != nil || string(got) != "through" {
		t.Errorf("%q, %v", got, err)
	}
	s.goesOn()
	eventually(t, "the last of them are closed, for they took too long", func() bool { return closed.Load() == many })
	for _, c := range conns {
		c.Close()
	}
	wg.Wait()
	s.goesOn()
}

// Who sends more than a handshake has is cut before it is known who that is, even if it is one of the fleet.
func TestAHandshakeThatIsTooLongIsCut(t *testing.T) {
	s := besiege(t, grpc.Options{})
	config := s.f.Device("rude").ClientTLS(identity.Ground)
	config.NextProtos = []string{"h2"}
	own := config.GetClientCertificate
	for length, taken := range map[int]bool{1 << 10: true, strangerBytes: false, 200 << 10: false} {
		config.GetClientCertificate = func(i *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := own(i)
			if err != nil {
				return nil, err
			}
			long := *c
			for len(long.Certificate)*len(c.Certificate[0]) < length {
				long.Certificate = append(long.Certificate, c.Certificate[0])
			}
			return &long, nil
		}
		c, err := tls.Dial("tcp", s.address, config)
		if err != nil {
			t.Fatal(err) // at the client's end the handshake is done before the server has looked
		}
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); (err == nil) != taken || isTimeout(err) { // the server's settings, if it is let in
			t.Errorf("certificates of %d bytes: %v, want taken %t", length, err, taken)
		}
		c.Close()
	}
	s.goesOn()
}
