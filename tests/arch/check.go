package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"slices"
)

// Violation is one place that breaks a rule.
type Violation struct {
	File    string // relative to the root, with slashes
	Line    int
	Rule    string
	Message string
}

// String gives the violation as compilers give theirs, so that editors jump to it.
func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s (%s)", v.File, v.Line, v.Message, v.Rule)
}

// Law is what a tree is measured by, beside the rules themselves.
type Law struct {
	// SystemCallers are the files that may run statements across tenants, each with its reason.
	SystemCallers map[string]string
}

// rule is one article of the law.
type rule struct {
	name  string
	check func(t *tree, law Law, r *report)
}

// rules lists the articles; the fixture has a violation of each.
func rules() []rule {
	return []rule{
		{"imports", checkImports},
		{"foreign", checkForeign},
		{"sql", checkSQL},
		{"storable", checkStorable},
		{"system", checkSystem},
		{"init", checkInit},
		{"state", checkState},
		{"panic", checkPanic},
		{"sleep", checkSleep},
		{"name", checkNames},
		{"doc", checkDocs},
		{"long", checkLength},
		{"size", checkSize},
		{"host", checkHosts},
	}
}

// Check measures the tree below root by the law. The order of what it gives is stable.
func Check(root string, law Law) ([]Violation, error) {
	t, err := readTree(root)
	if err != nil {
		return nil, err
	}
	var found []Violation
	for _, article := range rules() {
		r := &report{tree: t, rule: article.name}
		article.check(t, law, r)
		found = append(found, r.found...)
	}
	slices.SortFunc(found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return found, nil
}

// report gathers the violations of one rule.
type report struct {
	tree  *tree
	rule  string
	found []Violation
}

func (r *report) at(pos token.Pos, format string, args ...any) {
	p := r.tree.fset.Position(pos)
	r.line(p.Filename, p.Line, format, args...)
}

func (r *report) line(file string, line int, format string, args ...any) {
	r.found = append(r.found, Violation{File: file, Line: line, Rule: r.rule, Message: fmt.Sprintf(format, args...)})
}

// each calls fn with every node of the files that pass the filter.
func (t *tree) each(filter func(*file) bool, fn func(*file, ast.Node)) {
	for _, f := range t.files {
		if !filter(f) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if n != nil {
				fn(f, n)
			}
			return true
		})
	}
}
