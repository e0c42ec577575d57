package broker

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fulmar-io/fulmar/link"
	"github.com/fulmar-io/fulmar/link/mqtt"
	linknats "github.com/fulmar-io/fulmar/link/nats"
	"github.com/fulmar-io/fulmar/secure/identity"
)

// gate decides who may connect, and what for.
type gate struct {
	keys   *identity.Keyring
	secret string // of the ground's own connections, which are in this process
	front  *front
	log    *slog.Logger
}

// ownUser is the name of the ground's own connections.
const ownUser = "ground"

// tlsPatience is how long a handshake may take, in seconds.
const tlsPatience = 5.0

func newGate(keys *identity.Keyring, front *front, log *slog.Logger) (*gate, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return &gate{keys: keys, secret: hex.EncodeToString(b), front: front, log: log}, nil
}

// guard has a server ask the gate.
func (g *gate) guard(o *server.Options) {
	o.CustomClientAuthentication = g
	o.TLSConfig, o.TLS, o.TLSVerify, o.TLSTimeout = g.keys.ServerTLS(identity.Device), true, true, tlsPatience
	o.TLSHandshakeFirst = false
	o.MQTT.TLSConfig, o.MQTT.TLSTimeout = g.keys.ServerTLS(identity.Device), tlsPatience
}

// Check implements server.Authentication.
func (g *gate) Check(c server.ClientAuthentication) bool {
	if c.Kind() != server.CLIENT {
		return false
	}
	state := c.GetTLSConnectionState()
	if state == nil { // only connections within this process have none
		o := c.GetOpts()
		if o.Username != ownUser || subtle.ConstantTimeCompare([]byte(o.Password), []byte(g.secret)) != 1 {
			return false
		}
		c.RegisterUser(&server.User{Username: ownUser})
		return true
	}
	v, err := g.front.origin(c.RemoteAddress())
	if err != nil {
		g.log.Warn("broker: connection refused", "error", err)
		return false
	}
	p, err := g.keys.PeerOf(state, identity.Device)
	if err == nil && overMQTT(c) && !clientIs(c, mqtt.ClientID(p.Name)) {
		err = errors.New("another client id than the device's own: with it, it could cut the connection of another")
	}
	if err != nil {
		g.front.log.Tell("broker: connection refused", "from", v.RemoteAddr().String(), "error", err)
		return false
	}
	if !g.front.admit(v, p.Name) {
		return false // it was closed, as the oldest of too many
	}
	c.RegisterUser(&server.User{Username: userOf(p), Permissions: permissions(p.Name)})
	return true
}

// userOf is the name of a connection: by its certificate, so that what was issued again is another.
func userOf(p identity.Peer) string { return p.Serial + " " + p.Name }

// permissions are what a device may do: publish what goes up, and hear what comes down, under its own name. A server that speaks MQTT
// delivers on subjects of its own.
func permissions(device string) *server.Permissions {
	own := func(topics ...string) *server.SubjectPermission {
		for i, t := range topics {
			topics[i] = linknats.Subject(t)
		}
		return &server.SubjectPermission{Allow: topics}
	}
	return &server.Permissions{Publish: own(link.UpTopic(device)), Subscribe: own(link.DownTopic(device))}
}

// What the server calls a connection ends, over MQTT, with its quoted client id. It has no other way to tell that before it takes
// the client; a test sees that a client with another id is not taken, and one with the right one is.
type named interface{ String() string }

func overMQTT(c server.ClientAuthentication) bool {
	n, ok := c.(named)
	return !ok || strings.Contains(n.String(), " - mid:")
}

func clientIs(c server.ClientAuthentication, id string) bool {
	n, ok := c.(named)
	return ok && strings.HasSuffix(n.String(), fmt.Sprintf(" - %q", id))
}

// connectionsAtOnce is how many the server tells of at a time.
const connectionsAtOnce = 1024

// cut cuts the connections of what is not trusted any more.
func (g *gate) cut(s *server.Server) error {
	var errs []error
	trust := g.keys.Trust()
	for offset := 0; ; offset += connectionsAtOnce {
		list, err := s.Connz(&server.ConnzOptions{Username: true, Offset: offset, Limit: connectionsAtOnce})
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("broker: connections: %w", err))...)
		}
		for _, c := range list.Conns {
			serial, name, ok := strings.Cut(c.AuthorizedUser, " ")
			if !ok || !trust.Revoked(identity.Peer{Serial: serial}) {
				continue
			}
			g.log.Warn("broker: the connection of a device that was revoked is cut", "device", name)
			if err := s.DisconnectClientByID(c.Cid); err != nil {
				errs = append(errs, fmt.Errorf("broker: cut %s: %w", name, err))
			}
		}
		if len(list.Conns) < connectionsAtOnce {
			return errors.Join(errs...)
		}
	}
}
