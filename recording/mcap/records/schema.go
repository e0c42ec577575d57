package records

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/fulmar-io/fulmar/telemetry"
	"github.com/fulmar-io/fulmar/telemetry/packet"
)

// Numbers of the message's fields. The layout's begin at firstField.
const (
	fieldSeq      = 1
	fieldMono     = 2
	fieldWall     = 3
	fieldSeverity = 4
	fieldClass    = 5
	fieldBoot     = 6
	fieldTime     = 7
	firstField    = 16
	// rawField is added to the number of a string's field for what is not UTF-8. It leaves room for telemetry.MaxFields.
	rawField = 4096
)

// Wire types, see "Protocol Buffers: Encoding".
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

// Types and labels, see FieldDescriptorProto in google/protobuf/descriptor.proto, as are the numbers of fields below.
const (
	protoDouble   = 1
	protoFloat    = 2
	protoFixed64  = 6
	protoBool     = 8
	protoString   = 9
	protoBytes    = 12
	protoEnum     = 14
	protoSfixed64 = 16

	labelOptional = 1
	labelRepeated = 3
)

func protoType(t packet.Type) (typ int, wire uint64) {
	switch t {
	case packet.Float64:
		return protoDouble, wire64
	case packet.Float32:
		return protoFloat, wire32
	case packet.Int64:
		return protoSfixed64, wire64
	case packet.Uint64:
		return protoFixed64, wire64
	case packet.Bool:
		return protoBool, wireVarint
	}
	return protoString, wireBytes
}

func appendTag(b []byte, number int, wire uint64) []byte {
	return binary.AppendUvarint(b, uint64(number)<<3|wire)
}

func appendText(b []byte, number int, s string) []byte {
	b = appendTag(b, number, wireBytes)
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendNumber(b []byte, number, v int) []byte {
	return binary.AppendUvarint(appendTag(b, number, wireVarint), uint64(v))
}

const recordProto = "fulmar/record.proto"

// enums is the FileDescriptorProto of what all messages share.
var enums = func() string {
	file := appendText(appendText(nil, 1, recordProto), 2, "fulmar")
	var names []string
	for s := packet.None; s.Valid(); s++ {
		names = append(names, s.String())
	}
	file = appendText(file, 5, enumOf("Severity", 0, names))
	names = nil
	for i := range packet.Classes {
		names = append(names, packet.ClassAt(i).String())
	}
	return string(appendText(file, 5, enumOf("Class", int(packet.ClassAt(0)), names)))
}()

func enumOf(name string, first int, values []string) string {
	b := appendText(nil, 1, name)
	for i, v := range values {
		value := appendText(nil, 1, strings.ToUpper(name+"_"+v))
		b = appendText(b, 2, string(appendNumber(value, 2, first+i)))
	}
	return string(b)
}

// schemaName returns the full name of a layout's message.
func schemaName(l *telemetry.Layout) string { return packageName(l) + "." + messageName(l) }

func packageName(l *telemetry.Layout) string { return "fulmar.l" + l.ID().String() }

func messageName(l *telemetry.Layout) string { return identifier(l.Name) }

// schemaData returns a layout's FileDescriptorSet.
func schemaData(l *telemetry.Layout) []byte {
	message := appendText(nil, 1, messageName(l))
	used := make(map[string]bool, len(l.Fields))
	field := func(name string, number, label, typ int, enum string) {
		// A layout may have "a.b" and "a_b".
		for unique := name; ; unique = fmt.Sprintf("%s_%d", name, number) {
			if !used[unique] {
				name = unique
				break
			}
			if unique != name {
				name += "_"
			}
		}
		used[name] = true
		b := appendNumber(appendNumber(appendText(nil, 1, name), 3, number), 4, label)
		b = appendNumber(b, 5, typ)
		if enum != "" {
			b = appendText(b, 6, enum)
		}
		if label == labelRepeated {
			const packed = 2
			b = appendText(b, 8, string(appendNumber(nil, packed, 1)))
		}
		message = appendText(message, 2, string(b))
	}
	field("_seq", fieldSeq, labelOptional, protoFixed64, "")
	field("_mono_ns", fieldMono, labelOptional, protoSfixed64, "")
	field("_wall_ns", fieldWall, labelOptional, protoSfixed64, "")
	field("_severity", fieldSeverity, labelOptional, protoEnum, ".fulmar.Severity")
	field("_class", fieldClass, labelOptional, protoEnum, ".fulmar.Class")
	field("_boot", fieldBoot, labelOptional, protoString, "")
	field("_time_ns", fieldTime, labelOptional, protoSfixed64, "")
	for i, f := range l.Fields {
		typ, _ := protoType(f.Type)
		label := labelOptional
		if f.Elements() > 1 {
			label = labelRepeated
		}
		field(identifier(f.Name), firstField+i, label, typ, "")
	}
	for i, f := range l.Fields {
		if f.Type == packet.String {
			field(identifier(f.Name)+"_bytes", rawField+firstField+i, labelOptional, protoBytes, "")
		}
	}
	file := appendText(appendText(nil, 1, "fulmar/l"+l.ID().String()+".proto"), 2, packageName(l))
	file = appendText(appendText(file, 3, recordProto), 4, string(message))
	return appendText(appendText(nil, 1, enums), 1, string(file))
}

// identifier makes a name of telemetry one of protobuf: letters, digits and underscores, with no digit in front.
func identifier(name string) string {
	b := make([]byte, 0, len(name)+1)
	for i := range len(name) {
		switch c := name[i]; {
		case c == ']':
		case c >= '0' && c <= '9':
			if len(b) == 0 {
				b = append(b, '_')
			}
			b = append(b, c)
		case c == '_', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			b = append(b, c)
		default: // what telemetry allows besides: '/', '.', '-', '['
			b = append(b, '_')
		}
	}
	if len(b) == 0 {
		return "_"
	}
	return string(b)
}
