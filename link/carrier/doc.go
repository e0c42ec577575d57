// Package carrier makes links from how settings and command lines name them: by URL, whose scheme chooses what carries.
//
//	mqtt://[user[:password]@]host[:port]   MQTT 5 or 3.1.1; mqtts:// with TLS
//	nats://[user:password@]host[:port]     NATS; tls:// with TLS
//	grpc://host:port                       gRPC, to the ground itself, which listens there; grpcs:// with TLS
//	serial:///dev/ttyUSB0[?baud=57600]     a serial line, a machine at its other end; serial:///COM3 on Windows
//	file:///folder                         a folder that is carried by hand
//
// It imports the rooms of the carriers beside it, so that they need not know each other, and is imported by whoever builds
// a machine or a ground.
package carrier
