package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	_ "github.com/mostynb/go-grpc-compression/nonclobbering/zstd"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // what exporters compress with by default
)

// sink is the ground of the peers that have none which keeps things: it has what arrives in a file, durably, before it says so. That
// is the least that a ground could do.
type sink struct {
	mu       sync.Mutex // guards file
	file     *os.File
	readings atomic.Uint64
}

// sinkOptions are what a sink's process is told.
type sinkOptions struct {
	Kind         string // otlp or mqtt
	Dir          string
	Address      string // to listen on for OTLP; of the broker to subscribe to
	Count        string // address on which it says how many readings it has
	Certificates certificates
}

func sinkHere(ctx context.Context, o sinkOptions) (err error) {
	s := &sink{}
	if s.file, err = os.Create(filepath.Join(o.Dir, "sink")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.file.Close()) }()
	counting := &http.Server{Addr: o.Count, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, s.readings.Load())
	})}
	counted := make(chan error, 1)
	go func() { counted <- counting.ListenAndServe() }()
	defer func() {
		err = errors.Join(err, counting.Close())
		if served := <-counted; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	}()
	if o.Kind == "mqtt" {
		return s.subscribe(ctx, o.Address)
	}
	return s.serve(ctx, o)
}

// keep makes readings durable.
func (s *sink) keep(readings int, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.file.Write(b); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
		return err
	}
	s.readings.Add(uint64(readings))
	return nil
}

// receiver receives OTLP.
type receiver struct {
	pmetricotlp.UnimplementedGRPCServer
	sink *sink
}

// Export implements pmetricotlp.GRPCServer.
func (r *receiver) Export(_ context.Context, req pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	b, err := req.MarshalProto()
	if err == nil {
		err = r.sink.keep(req.Metrics().DataPointCount(), b)
	}
	return pmetricotlp.NewExportResponse(), err
}

func (s *sink) serve(ctx context.Context, o sinkOptions) error {
	config, err := o.Certificates.server()
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Address)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.MaxRecvMsgSize(64<<20))
	pmetricotlp.RegisterGRPCServer(server, &receiver{sink: s})
	go func() { <-ctx.Done(); server.Stop() }()
	return server.Serve(l)
}

func (s *sink) subscribe(ctx context.Context, address string) error {
	failed := make(chan error, 1)
	client, err := connectMQTT(address, "sink")
	if err != nil {
		return err
	}
	defer client.Disconnect(100)
	token := client.Subscribe("telemetry/#", 1, func(_ mqtt.Client, m mqtt.Message) { // acknowledged when it returns
		req := pmetricotlp.NewExportRequest()
		err := req.UnmarshalProto(m.Payload())
		if err == nil {
			err = s.keep(req.Metrics().DataPointCount(), m.Payload())
		}
		if err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	})
	if token.Wait(); token.Error() != nil {
		return token.Error()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// connectMQTT connects to a broker in the clear: within the machine, or within the ground.
func connectMQTT(address, id string) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetCleanSession(true).SetOrderMatters(true).SetAutoReconnect(false)
	client := mqtt.NewClient(o)
	token := client.Connect()
	token.Wait()
	return client, token.Error()
}

// startSink starts a sink as another process, and returns it and what counts its readings.
func startSink(ctx context.Context, o sinkOptions) (p *process, committed func(context.Context) (uint64, error), err error) {
	if o.Count, err = freeAddress(ctx); err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	if p, err = start(ctx, "sink", false, self, "child", "sink", string(text)); err != nil {
		return nil, nil, err
	}
	committed = func(ctx context.Context) (uint64, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.Count, nil)
		if err != nil {
			return 0, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(io.LimitReader(res.Body, 64))
		if err != nil {
			return 0, err
		}
		return strconv.ParseUint(string(b), 10, 64)
	}
	return p, committed, p.listening(ctx, o.Count)
}
