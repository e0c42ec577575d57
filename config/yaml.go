package config

import (
	"errors"
	"strings"
	"unicode/utf8"

	goyaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	yamlparser "github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// yaml reads YAML 1.2: one document, with anchors and aliases, without merge keys and tags.
func (p *parser) yaml(data []byte) (*tree, error) {
	if at, deep := tooDeep(p.src.data); deep {
		return nil, p.wrong(p.offset(at, 1), "more than %d mappings and lists in each other", MaxDepth)
	}
	file, err := yamlparser.ParseBytes(data, 0)
	if err != nil {
		var syntax *goyaml.SyntaxError
		if errors.As(err, &syntax) {
			return nil, p.wrong(tokenPlace(syntax.Token), "%s", syntax.Message)
		}
		return nil, p.wrong(place{}, "%s", err)
	}
	var body ast.Node
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			return nil, p.wrong(tokenPlace(d.Body.GetToken()), "a second document; settings are one")
		}
		body = d.Body
	}
	if body == nil {
		return &tree{}, nil
	}
	y := yamlReader{p: p, anchors: make(map[string]ast.Node)}
	return y.node(body, 0)
}

// tooDeep finds where brackets, or the dashes of lists that begin in one line, stand deeper in each other than any
// settings do. The library's parser calls itself for each.
func tooDeep(s string) (at int, deep bool) {
	depth, dashes := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case '-', '?':
			dashes++
		case '\n':
			dashes = 0
		case ' ', '\t':
			continue
		default:
			dashes = 0
		}
		// Twice: brackets in texts and comments count here, too.
		if depth > 2*MaxDepth || dashes > 2*MaxDepth && s[i] == '-' && strings.HasPrefix(s[i:], "- ") {
			return i, true
		}
	}
	return 0, false
}

func tokenPlace(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{line: t.Position.Line, column: t.Position.Column, width: utf8.RuneCountInString(t.Value)}
}

type yamlReader struct {
	p       *parser
	anchors map[string]ast.Node
}

func (y *yamlReader) node(n ast.Node, depth int) (*tree, error) {
	at := tokenPlace(n.GetToken())
	if err := y.p.count(at, depth); err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return y.mapping(n.Values, depth)
	case *ast.MappingValueNode:
		return y.mapping([]*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		t := &tree{form: list, at: at}
		for _, v := range n.Values {
			item, err := y.node(v, depth+1)
			if err != nil {
				return nil, err
			}
			t.items = append(t.items, item)
		}
		return t, nil
	case *ast.AnchorNode:
		t, err := y.node(n.Value, depth+1)
		y.anchors[n.Name.GetToken().Value] = n.Value // known from here on: none can hold itself
		return t, err
	case *ast.AliasNode:
		value, ok := y.anchors[n.Value.GetToken().Value]
		if !ok {
			return nil, y.p.wrong(at, "no anchor is named %q above", n.Value.GetToken().Value)
		}
		return y.node(value, depth+1)
	case *ast.TagNode:
		return nil, y.p.wrong(at, "tags are not for settings")
	}
	return y.scalar(n, at)
}

func (y *yamlReader) scalar(n ast.Node, at place) (*tree, error) {
	t := &tree{text: n.GetToken().Value, at: at, plain: true}
	switch n := n.(type) {
	case *ast.NullNode:
		t.form = null
	case *ast.BoolNode:
		t.form = boolean
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		t.form = number
	case *ast.StringNode:
		t.form, t.text = text, n.Value
		t.plain = n.Token.Type == token.StringType
		if n.Token.Type == token.DoubleQuoteType || n.Token.Type == token.SingleQuoteType {
			t.at.width += 2
		}
	case *ast.LiteralNode:
		t.form, t.text, t.plain = text, n.Value.Value, false
	default:
		return nil, y.p.wrong(at, "%s is not for settings", strings.ToLower(n.Type().String()))
	}
	return t, nil
}

func (y *yamlReader) mapping(values []*ast.MappingValueNode, depth int) (*tree, error) {
	t := &tree{form: mapping}
	for _, v := range values {
		at := tokenPlace(v.Key.GetToken())
		var key string
		switch k := v.Key.(type) {
		case *ast.StringNode:
			key = k.Value
		case *ast.MergeKeyNode:
			return nil, y.p.wrong(at, "merge keys are not for settings; write the keys out")
		default:
			key = k.GetToken().Value
		}
		if t.at.line == 0 {
			t.at = at
		}
		value, err := y.node(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		t.keys = append(t.keys, entry{key: key, at: at, value: value})
	}
	return t, nil
}
