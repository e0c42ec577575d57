package packet

// Type is the type of one field's elements.
type Type uint8

// The field types. The numbers are part of the format.
const (
	Float64 Type = 1
	Float32 Type = 2
	Int64   Type = 3
	Uint64  Type = 4
	Bool    Type = 5
	String  Type = 6
)

// Valid reports whether t is one of the field types.
func (t Type) Valid() bool { return t >= Float64 && t <= String }

// Size returns the bytes one element takes in a packet; for a string, the bytes of its length prefix.
func (t Type) Size() int {
	switch t {
	case Float64, Int64, Uint64:
		return 8
	case Float32, String:
		return 4
	case Bool:
		return 1
	}
	return 0
}

// String returns the type's name as configs and exports spell it.
func (t Type) String() string {
	switch t {
	case Float64:
		return "float64"
	case Float32:
		return "float32"
	case Int64:
		return "int64"
	case Uint64:
		return "uint64"
	case Bool:
		return "bool"
	case String:
		return "string"
	}
	return "invalid"
}

// Class orders records by how much it matters that they arrive soon. A stream has one class.
type Class uint8

// The classes, most urgent first. The numbers are part of the format.
const (
	Urgent Class = 1
	Normal Class = 2
	Bulk   Class = 3
)

// Classes is how many classes there are; Class.Index is below it.
const Classes = 3

// Valid reports whether c is one of the classes.
func (c Class) Valid() bool { return c >= Urgent && c <= Bulk }

// Index returns the class's place in an array of Classes elements. It is only defined for a valid class.
func (c Class) Index() int { return int(c) - 1 }

// ClassAt is the inverse of Class.Index.
func ClassAt(i int) Class { return Class(i + 1) }

// String returns the class's name.
func (c Class) String() string {
	switch c {
	case Urgent:
		return "urgent"
	case Normal:
		return "normal"
	case Bulk:
		return "bulk"
	}
	return "invalid"
}

// Severity grades an event. Records of other kinds carry None.
type Severity uint8

// The severities, mildest first. The numbers are part of the format.
const (
	None     Severity = 0
	Debug    Severity = 1
	Info     Severity = 2
	Warning  Severity = 3
	Error    Severity = 4
	Critical Severity = 5
)

// Valid reports whether s is one of the severities.
func (s Severity) Valid() bool { return s <= Critical }

// String returns the severity's name.
func (s Severity) String() string {
	switch s {
	case None:
		return "none"
	case Debug:
		return "debug"
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Error:
		return "error"
	case Critical:
		return "critical"
	}
	return "invalid"
}

// Err is an error that needs no heap.
type Err uint8

// The errors of this package.
const (
	ErrShort    Err = 1 // the packet ends before its header or its values do
	ErrTrailing Err = 2 // bytes are left after the last value
	ErrType     Err = 3 // a value of another type was asked for, or a bool is neither 0 nor 1
	ErrHeader   Err = 4 // a class, severity or reserved byte has no meaning
	ErrTooLarge Err = 5 // the record exceeds MaxSize
	ErrClass    Err = 6 // a name, or a number, that no class has
	ErrSeverity Err = 7 // a name, or a number, that no severity has
)

// Error implements error.
func (e Err) Error() string {
	switch e {
	case ErrShort:
		return "packet: too short"
	case ErrTrailing:
		return "packet: bytes after the last value"
	case ErrType:
		return "packet: value of another type"
	case ErrHeader:
		return "packet: header without meaning"
	case ErrTooLarge:
		return "packet: larger than 64 KiB"
	case ErrClass:
		return "packet: no such class: want urgent, normal or bulk"
	case ErrSeverity:
		return "packet: no such severity: want none, debug, info, warning, error or critical"
	}
	return "packet: error"
}
