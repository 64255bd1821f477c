package arch

import (
	"go/ast"
	"path"
	"slices"
	"strings"
)

// emptyNames are package names that say nothing of what is in them.
var emptyNames = []string{
	"util", "utils", "common", "commons", "helper", "helpers", "manager", "managers", "model", "models", "misc", "shared", "base", "lib",
}

// checkNames allows no package that is named for nothing.
func checkNames(t *tree, _ Law, r *report) {
	for _, f := range t.files {
		name := strings.TrimSuffix(f.syntax.Name.Name, "_test")
		if slices.Contains(emptyNames, name) || slices.Contains(emptyNames, path.Base(f.dir)) {
			r.at(f.syntax.Package, "a package is named for a business word or a mechanism, not %q", name)
		}
	}
}

// checkDocs wants a package comment for every package, in the form that Go's tools show.
func checkDocs(t *tree, _ Law, r *report) {
	type state struct {
		first      *file
		documented bool
	}
	packages := map[string]*state{}
	var order []string
	for _, f := range t.files {
		p := packages[f.dir]
		if p == nil {
			p = &state{first: f}
			packages[f.dir] = p
			order = append(order, f.dir)
		}
		name := strings.TrimSuffix(f.syntax.Name.Name, "_test")
		text := f.syntax.Doc.Text()
		if name == "main" && text != "" || strings.HasPrefix(text, "Package "+name+" ") {
			p.documented = true
		}
	}
	for _, dir := range order {
		if p := packages[dir]; !p.documented {
			r.at(p.first.syntax.Package, "the package has no comment that begins with \"Package %s\"", p.first.syntax.Name.Name)
		}
	}
}

// longFile is from how many lines on a file owes an explanation, and longReason how it begins.
const (
	longFile   = 400
	longReason = "This file is long because "
)

// checkLength wants a reason from long files that were written by hand.
func checkLength(t *tree, _ Law, r *report) {
	for _, f := range t.files {
		if f.lines <= longFile || ast.IsGenerated(f.syntax) || explains(f.syntax) {
			continue
		}
		r.at(f.syntax.Package, "%d lines: split the file, or say why not in a comment that begins with %q", f.lines, longReason)
	}
}

func explains(syntax *ast.File) bool {
	for _, group := range syntax.Comments {
		if strings.Contains(strings.ReplaceAll(group.Text(), "\n", " "), longReason) {
			return true
		}
	}
	return false
}
