package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// parse reads a file's text as the format that its name's ending tells.
func parse(name string, data []byte) (*tree, error) {
	if at := bytes.IndexByte(data, 0); at >= 0 || !utf8.Valid(data) {
		return nil, &Error{[]Problem{{File: name, Message: "not a text in UTF-8"}}}
	}
	p := parser{src: source{name: name, data: string(data)}}
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".yaml", ".yml":
		return p.yaml(data)
	case ".toml":
		return p.toml(data)
	case ".json":
		return p.json(data)
	default:
		return nil, &Error{[]Problem{{File: name, Message: fmt.Sprintf("settings in a file that ends in %q", ext),
			Hint: "end its name in .yaml, .toml or .json"}}}
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err == nil && len(data) > MaxFile {
		err = tooLarge(path, f)
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), errors.Join(err, f.Close())
}

// tooLarge says how large a file is that is more than settings have; of a pipe, say, nobody knows.
func tooLarge(path string, f *os.File) error {
	message := fmt.Sprintf("more than the %d bytes that settings have at most", MaxFile)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > MaxFile {
		message = fmt.Sprintf("%d bytes; settings have at most %d", info.Size(), MaxFile)
	}
	return &Error{[]Problem{{File: path, Message: message}}}
}

// parser is what the formats share: the text, and how much of it was turned into values.
type parser struct {
	src   source
	nodes int
}

// wrong is the one problem that ends the parsing.
func (p *parser) wrong(at place, format string, args ...any) error {
	return &Error{[]Problem{{File: p.src.name, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...),
		Snippet: p.src.snippet(at)}}}
}

// count counts a value at a depth.
func (p *parser) count(at place, depth int) error {
	if p.nodes++; p.nodes > MaxNodes {
		return p.wrong(at, "more than %d values", MaxNodes)
	}
	if depth > MaxDepth {
		return p.wrong(at, "more than %d mappings and lists in each other", MaxDepth)
	}
	return nil
}

// offset returns the place of a byte of the text.
func (p *parser) offset(at, width int) place {
	at = max(0, min(at, len(p.src.data)))
	before := p.src.data[:at]
	line := strings.LastIndexByte(before, '\n') + 1
	end := min(at+width, len(p.src.data))
	marked, _, _ := strings.Cut(p.src.data[at:end], "\n")
	return place{line: 1 + strings.Count(before, "\n"), column: 1 + utf8.RuneCountInString(before[line:]),
		width: utf8.RuneCountInString(marked)}
}
