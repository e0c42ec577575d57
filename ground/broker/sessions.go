package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sessionStreams are where the server keeps its MQTT sessions. It makes them on disk unless they are there, and after one
// write that failed it takes no session any more until it is started again: a full disk would cut off every machine for
// good. So they are there, in memory. Nothing is lost with them: machines begin each connection with a clean session.
var sessionStreams = []jetstream.StreamConfig{
	{Name: "$MQTT_sess", Subjects: []string{"$MQTT.sess.>"}, MaxMsgsPerSubject: 1},
	{Name: "$MQTT_msgs", Subjects: []string{"$MQTT.msgs.>"}, Retention: jetstream.InterestPolicy},
	{Name: "$MQTT_qos2in", Subjects: []string{"$MQTT.qos2.in.>"}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true},
	{Name: "$MQTT_out", Subjects: []string{"$MQTT.out.>"}, Retention: jetstream.InterestPolicy},
	{Name: "$MQTT_rmsgs", Subjects: []string{"$MQTT.rmsgs.>"}, MaxMsgsPerSubject: 1},
}

// sessionsInMemory makes the streams, in place of those that an earlier build left on disk.
func sessionsInMemory(s *server.Server, own ...nats.Option) error {
	nc, err := nats.Connect("", own...)
	if err != nil {
		return fmt.Errorf("broker: MQTT sessions: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("broker: MQTT sessions: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, c := range sessionStreams {
		c.Storage, c.Replicas = jetstream.MemoryStorage, 1
		_, err := js.CreateStream(ctx, c)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			if err = js.DeleteStream(ctx, c.Name); err == nil {
				_, err = js.CreateStream(ctx, c)
			}
		}
		if err != nil {
			return fmt.Errorf("broker: MQTT sessions: make %s: %w", c.Name, err)
		}
	}
	return nil
}
