package config

import (
	"bytes"
	gojson "encoding/json"
	"errors"
	"io"
	"strings"
)

// json reads JSON as RFC 8259 has it; a key that stands twice in an object is an error.
func (p *parser) json(data []byte) (*tree, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, p.wrong(place{}, "an empty file is no JSON; write {} for no settings")
	}
	j := jsonReader{p: p, d: gojson.NewDecoder(bytes.NewReader(data))}
	j.d.UseNumber()
	t, err := j.value(0)
	if err == nil {
		_, err = j.d.Token()
		if err == nil {
			return nil, p.wrong(p.offset(int(j.d.InputOffset())-1, 1), "something follows the settings")
		}
		err = ignoreEOF(err)
	}
	var problem *Error
	if err == nil || errors.As(err, &problem) {
		return t, err
	}
	at := int(j.d.InputOffset())
	var syntax *gojson.SyntaxError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return nil, p.wrong(p.offset(len(strings.TrimRight(p.src.data, " \t\r\n")), 1), "the file ends in the middle")
	case errors.As(err, &syntax):
		at = max(int(syntax.Offset)-1, at)
	}
	return nil, p.wrong(p.offset(at, 1), "%s", err)
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

type jsonReader struct {
	p *parser
	d *gojson.Decoder
}

// next returns the next token and its place.
func (j *jsonReader) next() (gojson.Token, place, error) {
	from := int(j.d.InputOffset())
	tok, err := j.d.Token()
	if err != nil {
		return nil, place{}, err
	}
	to := int(j.d.InputOffset())
	start := from + len(j.p.src.data[from:to]) - len(strings.TrimLeft(j.p.src.data[from:to], " \t\r\n,:"))
	return tok, j.p.offset(start, to-start), nil
}

func (j *jsonReader) value(depth int) (*tree, error) {
	tok, at, err := j.next()
	if err != nil {
		return nil, err
	}
	if err := j.p.count(at, depth); err != nil {
		return nil, err
	}
	t := &tree{at: at}
	switch v := tok.(type) {
	case nil:
	case bool:
		t.form, t.text = boolean, "false"
		if v {
			t.text = "true"
		}
	case gojson.Number:
		t.form, t.text = number, v.String()
	case string:
		t.form, t.text = text, v
	case gojson.Delim:
		if v == '{' {
			t.form = mapping
			return t, j.object(t, depth)
		}
		t.form = list
		for j.d.More() {
			item, err := j.value(depth + 1)
			if err != nil {
				return nil, err
			}
			t.items = append(t.items, item)
		}
		_, _, err = j.next()
	}
	return t, err
}

func (j *jsonReader) object(t *tree, depth int) error {
	for j.d.More() {
		tok, at, err := j.next()
		if err != nil {
			return err
		}
		key, ok := tok.(string)
		if !ok {
			return j.p.wrong(at, "a key is a string in quotes")
		}
		if t.get(key) != nil {
			return j.p.wrong(at, "the key %q stands here twice", key)
		}
		v, err := j.value(depth + 1)
		if err != nil {
			return err
		}
		t.keys = append(t.keys, entry{key: key, at: at, value: v})
	}
	_, _, err := j.next()
	return err
}
