package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/fulmar-io/fulmar/env"
	"github.com/fulmar-io/fulmar/ground/broker"
	"github.com/fulmar-io/fulmar/ground/enroll"
	"github.com/fulmar-io/fulmar/ground/export"
	"github.com/fulmar-io/fulmar/ground/live"
	"github.com/fulmar-io/fulmar/ground/station"
	"github.com/fulmar-io/fulmar/ground/web"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/grpc"
	"github.com/fulmar-io/fulmar/observe"
	"github.com/fulmar-io/fulmar/secure/access"
	"github.com/fulmar-io/fulmar/secure/admission"
	"github.com/fulmar-io/fulmar/secure/identity"
)

// receiver is a whole ground in this process: broker, station, API and page.
type receiver struct {
	broker   *broker.Broker // nil where the ground connects to one that is there
	direct   []direct       // where machines come without a broker
	station  *station.Station
	window   *observe.Window
	listener net.Listener
	pageTLS  *tls.Config // nil where the page has no certificate
	http     *http.Server
	url      string
	web      *web.Server
	served   chan error
	unlock   func() error // of the data folder
	keysDir  string
	keys     *identity.Keyring // nil where it is insecure
	enroll   *enroll.Server    // nil where devices are not enrolled
	gate     *access.Gate      // nil where it is insecure
}

// openReceiver starts everything but the station's loop.
func openReceiver(ctx context.Context, s station.Settings) (*receiver, error) {
	r := &receiver{served: make(chan error, 1)}
	if err := r.open(ctx, s); err != nil {
		return nil, errors.Join(err, r.abandon())
	}
	return r, nil
}

func (r *receiver) open(ctx context.Context, s station.Settings) error {
	// The ports first: a port that is taken should be told before anything is made on disk.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.HTTP)
	if err != nil {
		return &broker.PortError{What: "HTTP", Address: s.HTTP, Err: err}
	}
	r.listener = listener
	r.keysDir = s.KeysDir()
	if r.keys, err = groundKeys(s); err != nil {
		return err
	}
	if r.keys == nil {
		warnInsecure("anybody can connect to this ground and send or read everything")
	}
	if err := r.openPage(s); err != nil {
		return err
	}
	if r.unlock, err = lock(s.Data); err != nil {
		return err
	}
	disk, err := env.NewOSDisk(s.Data)
	if err != nil {
		return err
	}
	receivers, err := r.receivers(ctx, s)
	if err != nil {
		return err
	}
	if err := r.startEnroll(ctx, s); err != nil {
		for _, rc := range receivers {
			err = errors.Join(err, rc.Close())
		}
		return err
	}
	hub := live.New(live.Options{})
	intake := s.Limits.Ingest()
	intake.Keys = r.keys
	r.station, err = station.Open(ctx, station.Options{Disk: disk, IndexPath: filepath.Join(s.Data, "index.sqlite"), Frames: s.Store.Frames(), Ingest: intake, Series: s.Limits.Series,
		Receivers: receivers, Publish: hub.Publish, Missed: hub.Missed, Logger: slog.Default()})
	if err != nil {
		for _, rc := range receivers {
			err = errors.Join(err, rc.Close())
		}
		return err
	}
	if err := r.openGate(s); err != nil {
		return err
	}
	index := r.station.Index()
	if r.web, err = web.New(web.Options{Hosts: s.Hosts, Access: r.gate, Insecure: r.keys == nil, Source: index, Exporter: export.New(index), Tail: hub, Orders: r.station, Logger: slog.Default()}); err != nil {
		return err
	}
	r.window = observe.New(observe.Options{Ready: r.station.Ready, Profiles: s.Profiles})
	if err := r.window.Register(r.station); err != nil {
		return err
	}
	if err := r.window.Register(r.strangers()); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", r.web.Handler())
	for _, path := range observe.Paths() {
		mux.Handle(path, r.window)
	}
	r.http = &http.Server{TLSConfig: r.pageTLS, Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ConnContext: admission.Context}
	r.http.RegisterOnShutdown(r.web.Close)
	r.serve()
	return nil
}

// openPage reads the page's certificate, if it has one.
func (r *receiver) openPage(s station.Settings) error {
	r.url = "http://" + r.listener.Addr().String()
	if s.HTTPCert == "" {
		return nil
	}
	c, err := web.OpenCertificate(s.HTTPCert, s.HTTPKey, slog.Default())
	if err != nil {
		return err
	}
	r.pageTLS, r.url = c.TLS(), "https://"+r.listener.Addr().String()
	return nil
}

// serve serves the page, the API and what is beside them.
func (r *receiver) serve() {
	door := admission.New(r.listener, pageStrangers)
	go func() {
		if r.pageTLS != nil {
			r.served <- r.http.ServeTLS(door, "", "")
			return
		}
		r.served <- r.http.Serve(door)
	}()
}

// pageStrangers are connections to the page over which nobody has come who has signed in. They read the page, and /metrics, for as long as
// they like; before a page with TLS stands a proxy, from whose one address all come.
var pageStrangers = admission.Limits{Strangers: 512, FromOne: 256, PerSecond: -1, Bytes: -1, Patience: -1}

// openGate lets in who has an account, unless everybody is.
func (r *receiver) openGate(s station.Settings) (err error) {
	if r.keys == nil {
		return nil
	}
	if r.gate, err = access.Open(access.Options{Accounts: accountsIn(s.Data), Logger: slog.Default()}); err != nil {
		return err
	}
	if at, ok := r.listener.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() && r.pageTLS == nil {
		slog.Warn("the page is without TLS on an address that others reach: passwords can be read on their way; set http_cert and http_key, or put a proxy with TLS before it", "http", s.HTTP)
	}
	return nil
}

// startEnroll takes devices that have a token, where the authority is at hand.
func (r *receiver) startEnroll(ctx context.Context, s station.Settings) error {
	if r.keys == nil || s.Enroll == "" {
		return nil
	}
	a, err := identity.OpenAuthority(r.keysDir, time.Now)
	if errors.Is(err, identity.ErrNoAuthority) {
		return nil
	}
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Enroll)
	if err != nil {
		return &broker.PortError{What: "enrolling", Address: s.Enroll, Err: err}
	}
	r.enroll = enroll.Start(l, a, r.keys, slog.Default())
	return nil
}

// direct is a receiver that machines connect to themselves.
type direct interface {
	link.Receiver
	Cut() error // the connections of what is not trusted any more
	Strangers() admission.Counts
}

// strangers are who has not authenticated yet, wherever machines come.
func (r *receiver) strangers() (m admission.Metrics) {
	if r.broker != nil {
		m = append(m, r.broker)
	}
	for _, d := range r.direct {
		m = append(m, d)
	}
	return m
}

// receivers opens all ends of links, or leaves none open.
func (r *receiver) receivers(ctx context.Context, s station.Settings) (list []link.Receiver, err error) {
	defer func() {
		if err != nil {
			for _, open := range list {
				err = errors.Join(err, open.Close())
			}
			list = nil
		}
	}()
	if s.GRPC != "" {
		rc, err := grpc.Listen(s.GRPC, grpc.Options{Keys: r.keys, Machines: s.Limits.Devices})
		if err != nil {
			return list, &broker.PortError{What: "gRPC", Address: s.GRPC, Err: err}
		}
		list = append(list, rc)
	}
	for _, b := range s.Brokers {
		rc, err := b.Listen(ctx, s.Queue, r.keys)
		if err != nil {
			return list, fmt.Errorf("listen: %w", err)
		}
		list = append(list, rc)
	}
	for _, rc := range list {
		if d, ok := rc.(direct); ok {
			r.direct = append(r.direct, d)
		}
	}
	if len(s.Brokers) > 0 {
		return list, nil
	}
	r.broker, err = broker.Start(broker.Options{MQTT: s.MQTT, NATS: s.NATS, Dir: filepath.Join(s.Data, "broker"), Keys: r.keys, Log: slog.Default()})
	if err != nil {
		return list, err
	}
	rc, err := r.broker.Receiver()
	if err != nil {
		return list, err
	}
	return append(list, rc), nil
}

// machinesAt are the URLs at which machines reach this ground itself.
func (r *receiver) machinesAt() (list []string) {
	if r.broker != nil {
		list = append(list, r.broker.MQTT())
		if u := r.broker.NATS(); u != "" {
			list = append(list, u)
		}
	}
	for _, d := range r.direct {
		list = append(list, d.String())
	}
	return list
}

// abandon undoes what openReceiver had done when it failed.
func (r *receiver) abandon() error {
	var err error
	if r.listener != nil {
		err = r.listener.Close()
	}
	if r.enroll != nil {
		err = errors.Join(err, r.enroll.Close())
	}
	if r.broker != nil {
		err = errors.Join(err, r.broker.Close())
	}
	if r.unlock != nil {
		err = errors.Join(err, r.unlock())
	}
	return err
}

// run runs the station until ctx ends, and then stops everything.
func (r *receiver) run(ctx context.Context) error {
	followCtx, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	followed := make(chan error, 1)
	go func() { followed <- r.follow(followCtx) }()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if r.gate != nil {
			r.gate.Run(followCtx)
		}
	}()
	err := r.station.Run(ctx)
	stopFollowing()
	err = errors.Join(err, <-followed)
	<-watched
	if r.enroll != nil {
		err = errors.Join(err, r.enroll.Close())
	}
	stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = errors.Join(err, r.http.Shutdown(stop))
	if serr := <-r.served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	if r.broker != nil {
		err = errors.Join(err, r.broker.Close())
	}
	return errors.Join(err, r.unlock())
}

// follow has what changes of the keys take effect at once: devices that were revoked are cut off, the others learn what to trust.
func (r *receiver) follow(ctx context.Context) error {
	if r.keys == nil {
		return nil
	}
	return followKeys(ctx, r.keysDir, r.keys, func() {
		if err := r.cut(); err != nil {
			slog.Error("the connections of devices that were revoked may still be open; what comes over them is dropped", "error", err)
		}
		r.station.Trusted()
	})
}

// cut cuts the connections of devices that were revoked.
func (r *receiver) cut() error {
	var err error
	if r.broker != nil {
		err = r.broker.Cut()
	}
	for _, d := range r.direct {
		err = errors.Join(err, d.Cut())
	}
	return err
}

// lock takes a data folder for this process.
func lock(dir string) (func() error, error) {
	unlock, err := env.LockFolder(dir)
	return unlock, inUse(err)
}

// inUse says what to do about a folder that another process has.
func inUse(err error) error {
	if errors.Is(err, env.ErrLocked) {
		return &hintedError{err: err, hint: "another fulmar runs on this data; stop it, or choose another folder with --data"}
	}
	return err
}

// signInURL is the page's address, which lets in whoever has it, as an admin, once within ten minutes. What is behind the # a browser tells no server.
func (r *receiver) signInURL(name string) (string, error) {
	if r.gate == nil {
		return r.url, nil
	}
	secret, err := r.gate.NewLink(name, access.Admin)
	return r.url + "/#signin=" + secret, err
}
