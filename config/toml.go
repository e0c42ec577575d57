package config

import (
	"errors"
	"strings"
	"unicode/utf8"

	gotoml "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// toml reads TOML 1.0. The library is asked twice: once for whether the whole is valid, which includes that nothing is
// defined twice, and then for its expressions with their places, which are joined here.
func (p *parser) toml(data []byte) (*tree, error) {
	if at, deep := tooDeep(p.src.data); deep {
		return nil, p.wrong(p.offset(at, 1), "more than %d mappings and lists in each other", MaxDepth)
	}
	var whole map[string]any
	if err := gotoml.Unmarshal(data, &whole); err != nil {
		var at place
		var decode *gotoml.DecodeError
		if errors.As(err, &decode) {
			at.line, at.column = decode.Position()
			at = p.inCharacters(at)
		}
		return nil, p.wrong(at, "%s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	root := &tree{form: mapping}
	table := root
	var u unstable.Parser
	u.Reset(data)
	for u.NextExpression() {
		e := u.Expression()
		var err error
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, err = p.tomlTable(root, e)
		case unstable.KeyValue:
			err = p.tomlPair(table, e, 1)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := u.Error(); err != nil {
		return nil, p.wrong(place{}, "%s", err)
	}
	return root, nil
}

// inCharacters turns a column in bytes into one in characters.
func (p *parser) inCharacters(at place) place {
	lines := strings.Split(p.src.data, "\n")
	if at.line >= 1 && at.line <= len(lines) {
		line := lines[at.line-1]
		at.column = 1 + utf8.RuneCountInString(line[:max(0, min(at.column-1, len(line)))])
	}
	at.width = 1
	return at
}

// tomlTable finds or makes the mapping that [a.b] or [[a.b]] begins.
func (p *parser) tomlTable(root *tree, e *unstable.Node) (*tree, error) {
	t := root
	depth := 0
	for it := e.Key(); it.Next(); {
		k, depth := it.Node(), depth+1
		at := p.offset(int(k.Raw.Offset), int(k.Raw.Length))
		if err := p.count(at, depth); err != nil {
			return nil, err
		}
		next := t.get(string(k.Data))
		if next == nil {
			next = &tree{form: mapping, at: at}
			if e.Kind == unstable.ArrayTable && it.IsLast() {
				next.form = list
			}
			t.keys = append(t.keys, entry{key: string(k.Data), at: at, value: next})
		}
		if next.form == list {
			if e.Kind == unstable.ArrayTable && it.IsLast() {
				next.items = append(next.items, &tree{form: mapping, at: at})
			}
			next = next.items[len(next.items)-1]
		}
		t = next
	}
	return t, nil
}

// tomlPair puts key = value into a table, where the key may be dotted.
func (p *parser) tomlPair(table *tree, e *unstable.Node, depth int) error {
	for it := e.Key(); it.Next(); depth++ {
		k := it.Node()
		key, at := string(k.Data), p.offset(int(k.Raw.Offset), int(k.Raw.Length))
		if err := p.count(at, depth); err != nil {
			return err
		}
		if it.IsLast() {
			v, err := p.tomlValue(e.Value(), at, depth)
			if err != nil {
				return err
			}
			table.keys = append(table.keys, entry{key: key, at: at, value: v})
			return nil
		}
		next := table.get(key)
		if next == nil {
			next = &tree{form: mapping, at: at}
			table.keys = append(table.keys, entry{key: key, at: at, value: next})
		}
		table = next
	}
	return nil
}

// tomlValue makes a value; at is its key's place, for values for which the library tells none.
func (p *parser) tomlValue(n *unstable.Node, at place, depth int) (*tree, error) {
	if n.Raw.Length > 0 {
		at = p.offset(int(n.Raw.Offset), int(n.Raw.Length))
	}
	if err := p.count(at, depth); err != nil {
		return nil, err
	}
	t := &tree{text: string(n.Data), at: at}
	switch n.Kind {
	case unstable.Array:
		t.form = list
		for it := n.Children(); it.Next(); {
			item, err := p.tomlValue(it.Node(), at, depth+1)
			if err != nil {
				return nil, err
			}
			t.items = append(t.items, item)
		}
	case unstable.InlineTable:
		t.form = mapping
		for it := n.Children(); it.Next(); {
			if err := p.tomlPair(t, it.Node(), depth+1); err != nil {
				return nil, err
			}
		}
	case unstable.Bool:
		t.form = boolean
	case unstable.Integer, unstable.Float:
		t.form = number
	default: // times are read as texts
		t.form = text
	}
	return t, nil
}
