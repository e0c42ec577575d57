package packet

// The names of classes and severities, as configs and exports spell them. Reading a name compares bytes and makes no
// string: that would be an allocation on a microcontroller.

// AppendText implements encoding.TextAppender.
func (c Class) AppendText(b []byte) ([]byte, error) {
	if !c.Valid() {
		return b, ErrClass
	}
	return append(b, c.String()...), nil
}

// MarshalText implements encoding.TextMarshaler.
func (c Class) MarshalText() ([]byte, error) { return c.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler. What is no class's name leaves c as it was and returns ErrClass.
func (c *Class) UnmarshalText(b []byte) error {
	for known := Urgent; known <= Bulk; known++ {
		if spells(b, known.String()) {
			*c = known
			return nil
		}
	}
	return ErrClass
}

// AppendText implements encoding.TextAppender.
func (s Severity) AppendText(b []byte) ([]byte, error) {
	if !s.Valid() {
		return b, ErrSeverity
	}
	return append(b, s.String()...), nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return s.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler. What is no severity's name leaves s as it was and returns
// ErrSeverity.
func (s *Severity) UnmarshalText(b []byte) error {
	for known := None; known <= Critical; known++ {
		if spells(b, known.String()) {
			*s = known
			return nil
		}
	}
	return ErrSeverity
}

func spells(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if c != name[i] {
			return false
		}
	}
	return true
}
