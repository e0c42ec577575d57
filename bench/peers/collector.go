package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// exportRequest makes of samples the request of OTLP: a gauge per series, with a point.
func exportRequest(producer int, samples []sample) pmetricotlp.ExportRequest {
	m := pmetric.NewMetrics()
	list := m.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	for i := range samples {
		for j, v := range samples[i].values {
			metric := list.AppendEmpty()
			metric.SetName(seriesName(producer, samples[i].group, j))
			point := metric.SetEmptyGauge().DataPoints().AppendEmpty()
			point.SetTimestamp(pcommon.Timestamp(samples[i].stamp))
			point.SetDoubleValue(v)
		}
	}
	return pmetricotlp.NewExportRequestFromMetrics(m)
}

// otlpSource sends to a Collector on this machine.
type otlpSource struct {
	address string
	conns   []*grpc.ClientConn
}

func (o *otlpSource) open(_ context.Context, s shape) ([]requester, error) {
	var list []requester
	for i := range s.Producers {
		conn, err := grpc.NewClient(o.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		o.conns = append(o.conns, conn)
		list = append(list, &exporting{producer: i, client: pmetricotlp.NewGRPCClient(conn)})
	}
	return list, nil
}

func (o *otlpSource) sender() int { return 0 }

func (o *otlpSource) close() (err error) {
	for _, c := range o.conns {
		err = errors.Join(err, c.Close())
	}
	return err
}

type exporting struct {
	producer int
	client   pmetricotlp.GRPCClient
}

func (e *exporting) request(ctx context.Context, samples []sample) error {
	res, err := e.client.Export(ctx, exportRequest(e.producer, samples))
	if err == nil && res.PartialSuccess().RejectedDataPoints() > 0 {
		err = errors.New(res.PartialSuccess().ErrorMessage())
	}
	return err
}

// collectorWay is an OpenTelemetry Collector on the machine, whose queue is on disk.
type collectorWay struct {
	binary string
	shape  shape
}

func (c *collectorWay) name() string { return collectorName }

// collectorSettings: what is taken is in the queue's file, with fsync, before it is acknowledged; from there it goes in batches.
const collectorSettings = `
extensions:
  file_storage: {directory: %q, fsync: true, create_directory: true}
receivers:
  otlp: {protocols: {grpc: {endpoint: %q}}}
exporters:
  otlp_grpc:
    endpoint: %q
    compression: zstd
    tls: {ca_file: %q, cert_file: %q, key_file: %q}
    sending_queue:
      enabled: true
      storage: file_storage
      queue_size: 1000000
      block_on_overflow: true
      batch: {flush_timeout: 200ms, min_size: 8192, max_size: 16384}
service:
  extensions: [file_storage]
  telemetry: {metrics: {level: none}, logs: {level: warn}}
  pipelines:
    metrics: {receivers: [otlp], exporters: [otlp_grpc]}
`

func (c *collectorWay) begin(ctx context.Context, dir string) (k *course, err error) {
	k = &course{}
	defer k.endAfter(&err)
	certs, err := newCertificates(dir)
	if err != nil {
		return k, err
	}
	ground, err := freeAddress(ctx)
	if err != nil {
		return k, err
	}
	kept, committed, err := startSink(ctx, sinkOptions{Kind: "otlp", Dir: dir, Address: ground, Certificates: certs})
	k.stops = append(k.stops, func() { kept.stop(syscall.SIGTERM) })
	if err == nil {
		err = errors.Join(kept.listening(ctx, ground), k.through(ctx, ground))
	}
	if err != nil {
		return k, err
	}
	local, err := freeAddress(ctx)
	if err != nil {
		return k, err
	}
	file := filepath.Join(dir, "collector.yaml")
	text := fmt.Sprintf(collectorSettings, filepath.Join(dir, "queue"), local, k.link.address(), certs.CA, certs.Cert, certs.Key)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return k, err
	}
	agent, err := start(ctx, "collector", false, c.binary, "--config", file)
	if err != nil {
		return k, err
	}
	k.stops = append(k.stops, func() { agent.stop(syscall.SIGTERM) })
	if err := agent.listening(ctx, local); err != nil {
		return k, err
	}
	k.sender, k.receiver, k.committed = agent.pid(), kept.pid(), committed
	return k, k.produce(ctx, c.shape, "otlp", local)
}
