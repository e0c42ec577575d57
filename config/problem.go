package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A Problem is one thing that is wrong with the settings.
type Problem struct {
	File    string `json:"file,omitempty"`   // empty if it is not in a file
	Line    int    `json:"line,omitempty"`   // from 1; 0 if it is at no place
	Column  int    `json:"column,omitempty"` // from 1, in characters
	Key     string `json:"key,omitempty"`    // dotted path, as courier.batch.max_age
	Origin  string `json:"origin,omitempty"` // the variable or flag that set it; empty for the file
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what was probably meant, or what to write
	Snippet string `json:"-"`              // the line and the one before, with the place marked; may be empty
}

// String is the problem with its place and the lines around it, the hint in the first line.
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.Origin != "":
		b.WriteString(p.Origin + ": ")
	case p.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	case p.File != "":
		b.WriteString(p.File + ": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	if p.Snippet != "" {
		b.WriteString("\n" + p.Snippet)
	}
	return b.String()
}

// Error is everything that is wrong with the settings, in the order of the file.
type Error struct{ Problems []Problem }

// Error lists the problems.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Add takes over the problems of another *Error, and reports whether err is one.
func (e *Error) Add(err error) bool {
	var o *Error
	if !errors.As(err, &o) {
		return false
	}
	e.Problems = append(e.Problems, o.Problems...)
	return true
}

// A FieldError says which field an error of Validate is about, by its key relative to the value that was validated, as
// "max_age" or "batch.max_age".
type FieldError struct {
	Field string
	Err   error
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the error without its field.
func (e *FieldError) Unwrap() error { return e.Err }

// Wrong makes a FieldError.
func Wrong(field, format string, args ...any) error {
	return &FieldError{Field: field, Err: fmt.Errorf(format, args...)}
}

// source is a file's text, for showing places in it.
type source struct {
	name string
	data string
}

// maxSnippet bounds a line that is shown, in characters.
const maxSnippet = 120

// snippet shows the line of a place and the last one before it that is not empty, with the place marked below.
func (s source) snippet(at place) string {
	lines := strings.Split(s.data, "\n")
	if at.line < 1 || at.line > len(lines) || !utf8.ValidString(lines[at.line-1]) {
		return ""
	}
	digits := len(fmt.Sprint(at.line))
	var b strings.Builder
	for n := at.line - 1; n >= 1; n-- {
		if strings.TrimSpace(lines[n-1]) != "" {
			fmt.Fprintf(&b, "  %*d | %s\n", digits, n, shown(lines[n-1]))
			break
		}
	}
	line := shown(lines[at.line-1])
	fmt.Fprintf(&b, "  %d | %s", at.line, line)
	if before := []rune(line); at.column >= 1 && at.column <= len(before)+1 {
		width := max(1, min(at.width, len(before)+1-at.column))
		fmt.Fprintf(&b, "\n  %*s | %s%s", digits, "", strings.Repeat(" ", at.column-1), strings.Repeat("^", width))
	}
	return b.String()
}

// password finds that of a URL.
var password = regexp.MustCompile(`(://[^\s/@:'"]*:)([^\s/@'"]+)@`)

// shown is a line for a terminal: no tabs, so that what is marked below is where it seems to be; no control characters; and an x for each
// character of a URL's password, for errors end up in logs.
func shown(line string) string {
	line = password.ReplaceAllStringFunc(line, func(found string) string {
		parts := password.FindStringSubmatch(found)
		return parts[1] + strings.Repeat("x", utf8.RuneCountInString(parts[2])) + "@"
	})
	r := []rune(strings.TrimRight(line, "\r"))
	if len(r) > maxSnippet {
		r = append(r[:maxSnippet:maxSnippet], '…')
	}
	for i, c := range r {
		if c < ' ' || c == 0x7f {
			r[i] = ' '
		}
	}
	return string(r)
}

// Nearest returns which of the names was probably meant, or "".
func Nearest(name string, names []string) string { return nearest(name, names) }

// nearest returns the candidate that was probably meant, or "".
func nearest(word string, candidates []string) string {
	best, least := "", len(word)/3+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), c); d <= least && (best == "" || d < least) {
			best, least = c, d
		}
	}
	return best
}

// distance is how many characters must be changed, put in, left out or swapped with their neighbour to make a of b: the
// optimal string alignment distance.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
