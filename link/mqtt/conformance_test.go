package mqtt_test

import (
	"strings"
	"testing"

	"github.com/fulmar-io/fulmar/internal/testbroker"
	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/linktest"
	"github.com/fulmar-io/fulmar/link/mqtt"
)

var libraries = []string{"fulmar/link/mqtt.", "fulmar/link/internal", "eclipse/paho"}

// conform runs the suite against a broker at an address, "host:port".
func conform(t *testing.T, address, group string, v mqtt.Version) {
	linktest.Run(t, linktest.Harness{Libraries: libraries, Open: func(t *testing.T) linktest.Carrier {
		machine, ground := linktest.NewProxy(t, address), linktest.NewProxy(t, address)
		return linktest.Carrier{
			Machine: machine, Ground: ground,
			Dialer: func(device string) link.Dialer {
				return mqtt.Dialer{URL: "mqtt://" + machine.Address(), Device: device, Version: v}
			},
			Listen: func(t *testing.T) link.Receiver {
				r, err := mqtt.Listen(t.Context(), "mqtt://"+ground.Address(), group, mqtt.Options{Version: v, Logger: quiet()})
				if err != nil {
					t.Fatal(err)
				}
				return r
			},
		}
	}})
}

func TestConformance(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		conform(t, strings.TrimPrefix(embedded(t).MQTT(), "mqtt://"), "", mqtt.Auto)
	})
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311, mqtt.Auto} {
		t.Run("mosquitto "+v.String(), func(t *testing.T) {
			group := ""
			if v == mqtt.V5 {
				group = "grounds"
			}
			conform(t, testbroker.StartMosquitto(t).Address, group, v)
		})
	}
}

func TestDialErrors(t *testing.T) {
	for _, v := range []mqtt.Version{mqtt.Auto, mqtt.V5, mqtt.V311} {
		t.Run(v.String(), func(t *testing.T) {
			linktest.DialErrors(t, func(address string) link.Dialer {
				return mqtt.Dialer{URL: "mqtt://" + address, Device: "rover", Version: v}
			})
		})
	}
}
