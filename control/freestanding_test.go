package control_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// A microcontroller compiles this package: it must import nothing, not even math, whose functions are of float64.
func TestImportsNothing(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	checked := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			t.Errorf("%s imports %s", name, i.Path.Value)
		}
		checked++
	}
	if checked == 0 {
		t.Error("no file was checked")
	}
}

// With float32 no operation may be done in float64. The only way to one is a value whose type is not the type parameter: so
// no expression outside of Float's own declaration has the type float64 or float32, except for constants, which the
// compiler converts.
func TestComputesInItsTypeParameterOnly(t *testing.T) {
	fset := token.NewFileSet()
	names, _ := filepath.Glob("*.go")
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Defs: make(map[*ast.Ident]types.Object)}
	pkg, err := new(types.Config).Check("control", fset, files, &info)
	if err != nil {
		t.Fatal(err)
	}
	fixed := func(typ types.Type) bool {
		b, ok := typ.Underlying().(*types.Basic)
		return ok && (b.Kind() == types.Float64 || b.Kind() == types.Float32 || b.Info()&types.IsComplex != 0)
	}
	constraint := pkg.Scope().Lookup("Float")
	seen := 0
	for expr, tv := range info.Types {
		if _, typeParam := tv.Type.(*types.TypeParam); typeParam {
			seen++
			continue
		}
		inConstraint := expr.Pos() > constraint.Pos() && expr.End() <= constraint.Pos()+token.Pos(len("Float interface {\n\t~float32 | ~float64\n}"))
		if fixed(tv.Type) && tv.Value == nil && !inConstraint {
			t.Errorf("%s: of type %s, whatever the type parameter is", fset.Position(expr.Pos()), tv.Type)
		}
	}
	if seen < 500 {
		t.Errorf("only %d expressions of a type parameter: was the package looked at?", seen)
	}
}
