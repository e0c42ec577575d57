package link

import (
	"strings"

	"github.com/fulmar-io/fulmar/telemetry"
)

// A device's messages go up on fulmar/v1/DEVICE/up and come down on fulmar/v1/DEVICE/down; a NATS subject has dots for the
// slashes. The v1 is the version of this scheme, not of the messages.
const topicPrefix = "fulmar/v1/"

// UpTopic and DownTopic return a device's MQTT topics.
func UpTopic(device string) string { return topicPrefix + device + "/up" }

// DownTopic returns the topic on which a device listens.
func DownTopic(device string) string { return topicPrefix + device + "/down" }

// UpTopics is the MQTT filter that matches the up topic of every device.
const UpTopics = topicPrefix + "+/up"

// TopicDevice returns whose up topic it is, or false for any other topic.
func TopicDevice(topic string) (device string, ok bool) {
	device, ok1 := strings.CutPrefix(topic, topicPrefix)
	device, ok2 := strings.CutSuffix(device, "/up")
	return device, ok1 && ok2 && telemetry.ValidateDevice(device) == nil
}
