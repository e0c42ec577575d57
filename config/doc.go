// Package config reads settings: a file in YAML, TOML or JSON, then the environment, then the command's flags, each over
// the one before, into a struct that holds the defaults. It is strict: an unknown key, a wrong type or an impossible value
// is a Problem that says where (file, line, column, with the line itself), what is wrong and what was probably meant; and
// all of them are found at once.
//
//	type Settings struct {
//		Device string        `doc:"name of this machine" required:"true"`
//		Period time.Duration `doc:"between health reports" min:"100ms" max:"1h"`
//	}
//	s := Settings{Period: time.Second}
//	loaded, err := config.Load("rover.yaml", &s, config.Options{})
//
// A field's key is its name in snake_case, or what the tag config:"name" says; config:"-" leaves it out. The variable
// FULMAR_COURIER__BATCH__MAX_AGE sets courier.batch.max_age. Fields are bools, integers, floats, strings,
// time.Duration, Size, anything that is an encoding.TextUnmarshaler, structs, pointers to and slices of those, and maps from
// strings to those. What a struct embeds has its keys among the struct's own. A struct that is a TextUnmarshaler too may be written as text or as a mapping. Where a type has a method
// Complete(), it is called once its value is there, to fill what follows from other settings; then Validate() error, if it has
// that: a FieldError in what it returns says which field is meant.
//
// Load reads nothing but the file it is given and the environment that it is handed. Any room may import this one, which
// imports none.
package config
