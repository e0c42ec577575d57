package enroll

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/fulmar-io/fulmar/secure/admission"
	"github.com/fulmar-io/fulmar/secure/identity"
)

// Limits of what anybody can make a server do.
const (
	maxRequest  = 16 << 10 // bytes
	maxAnswer   = 1 << 20
	requestTime = 5 * time.Second
)

// strangers are all who come here.
var strangers = admission.Limits{Strangers: 64, FromOne: 8, Bytes: maxRequest + 16<<10, Patience: 3 * requestTime}

const path = "/enroll"

type request struct {
	Token   []byte `json:"token"`
	Request []byte `json:"request"`
}

type answer struct {
	Certificate []byte `json:"certificate"`
	Trust       []byte `json:"trust"`
}

// Server enrolls devices.
type Server struct {
	http *http.Server
	l    net.Listener
	done chan error
}

// Start starts a server on a listener, which is its own from then on. The authority signs, and keys are the ground's.
func Start(l net.Listener, a *identity.Authority, keys *identity.Keyring, log *slog.Logger) *Server {
	mux := http.NewServeMux()
	mux.Handle("POST "+path, &handler{authority: a, log: log, one: make(chan struct{}, 1)})
	s := &Server{l: l, done: make(chan error, 1), http: &http.Server{
		Handler: mux, TLSConfig: keys.PublicTLS(), ReadTimeout: requestTime, WriteTimeout: requestTime, IdleTimeout: requestTime,
		MaxHeaderBytes: 4 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}}
	go func() {
		s.done <- s.http.ServeTLS(admission.New(l, strangers), "", "")
	}()
	return s
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.l.Addr() }

// Close ends the server and returns when it has ended.
func (s *Server) Close() error {
	err := s.http.Close()
	if e := <-s.done; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

type handler struct {
	authority *identity.Authority
	log       *slog.Logger
	one       chan struct{} // an Authority is for one goroutine
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&q); err != nil {
		http.Error(w, "want a token and a request", http.StatusBadRequest)
		return
	}
	h.one <- struct{}{}
	subject, cert, trust, err := h.authority.Enroll(q.Token, q.Request)
	<-h.one
	if err != nil {
		h.log.Warn("a device was not enrolled", "from", r.RemoteAddr, "error", err)
		status, text := http.StatusInternalServerError, "the ground could not sign; its log says why"
		if errors.Is(err, identity.ErrToken) {
			status, text = http.StatusForbidden, identity.ErrToken.Error()
		} else if errors.Is(err, identity.ErrRequest) {
			status, text = http.StatusBadRequest, "want a request for a certificate"
		}
		http.Error(w, text, status)
		return
	}
	h.log.Info("a device was enrolled", "device", subject.Name, "from", r.RemoteAddr)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer{Certificate: cert, Trust: trust.Encoded()}) // who has gone asks for another token
}

// ErrRefused is wrapped by the error of Enroll for a ground that was reached and did not take the token.
var ErrRefused = errors.New("the ground did not take the token")

// Enroll gets an identity for the device that a token is for, from a ground at an address, into a folder. An identity that is there
// stays in use until the new one is.
func Enroll(ctx context.Context, address string, t identity.Token, dir string) error {
	der, err := identity.NewRequest(dir, t.Name)
	if err != nil {
		return err
	}
	body, err := json.Marshal(request{Token: t.Secret[:], Request: der})
	if err != nil {
		return fmt.Errorf("enroll: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 3*requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("enroll: %w", err)
	}
	transport := &http.Transport{TLSClientConfig: t.PinnedTLS(), DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("enroll: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("enroll: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("enroll: %w: %s", ErrRefused, bytes.TrimSpace(b[:min(len(b), 200)]))
	}
	var a answer
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("enroll: the ground's answer: %w", err)
	}
	return identity.Accept(dir, a.Certificate, a.Trust)
}
