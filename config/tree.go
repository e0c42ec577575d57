package config

// Limits of a file. They bound what a file can cost before anything of it is believed.
const (
	MaxFile  = 256 << 10 // bytes
	MaxDepth = 32        // of mappings and lists in each other
	MaxNodes = 20_000    // values, after aliases are followed
)

// tree is a value of a file as all formats have it, with its place.
type tree struct {
	form   form
	text   string // of a scalar
	plain  bool   // the scalar was not quoted: it may be read as what is wanted
	at     place
	origin string  // the variable or flag that it comes from; empty for the file
	keys   []entry // of a mapping, in their order
	items  []*tree // of a list
}

type entry struct {
	key   string
	at    place
	value *tree
}

// form is what a value looks like.
type form uint8

const (
	null form = iota
	boolean
	number
	text
	mapping
	list
)

func (f form) String() string {
	return [...]string{"nothing", "a bool", "a number", "a string", "a mapping", "a list"}[f]
}

// place is where something stands in a file. Line and column count from 1, columns in characters; a line of 0 is no place.
type place struct{ line, column, width int }

func (t *tree) get(key string) *tree {
	for _, e := range t.keys {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// set puts a value at a path below t, where mappings that are missing are made. It reports whether it could: what stands
// in the way and is no mapping is left as it is, for the decoder to tell.
func (t *tree) set(path []string, v *tree) bool {
	if t.form == null {
		t.form, t.keys = mapping, nil
	}
	if t.form != mapping {
		return false
	}
	for i := range t.keys {
		if t.keys[i].key != path[0] {
			continue
		}
		if len(path) > 1 {
			return t.keys[i].value.set(path[1:], v)
		}
		t.keys[i].value = v
		return true
	}
	if len(path) > 1 {
		below := &tree{form: mapping, origin: v.origin}
		t.keys = append(t.keys, entry{key: path[0], value: below})
		return below.set(path[1:], v)
	}
	t.keys = append(t.keys, entry{key: path[0], value: v})
	return true
}
