package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tree is a module's source, parsed.
type tree struct {
	module string // its import path
	fset   *token.FileSet
	files  []*file  // Go files
	texts  []string // every file of the tree, Go or not
	root   string
}

// file is one Go file.
type file struct {
	path   string // relative, with slashes
	dir    string
	test   bool // a _test.go file
	lines  int
	syntax *ast.File
}

// skipped are folders whose content is not ours or not kept.
var skipped = []string{".git", ".lari", "bin", "dist", "node_modules", "testdata"}

var moduleLine = regexp.MustCompile(`(?m)^module (\S+)`)

func readTree(root string) (*tree, error) {
	manifest, err := os.ReadFile(filepath.Join(root, "go.mod")) //nolint:gosec // the tree under test
	if err != nil {
		return nil, fmt.Errorf("the tree's go.mod: %w", err)
	}
	name := moduleLine.FindSubmatch(manifest)
	if name == nil {
		return nil, fmt.Errorf("go.mod of %s names no module", root)
	}
	t := &tree{module: string(name[1]), fset: token.NewFileSet(), root: root}
	err = filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, full)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if relative != "." && slices.Contains(skipped, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return t.add(full, filepath.ToSlash(relative))
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree %s: %w", root, err)
	}
	return t, nil
}

func (t *tree) add(full, relative string) error {
	t.texts = append(t.texts, relative)
	if path.Ext(relative) != ".go" {
		return nil
	}
	text, err := os.ReadFile(full) //nolint:gosec // the tree under test
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(t.fset, relative, text, parser.ParseComments)
	if err != nil {
		return err
	}
	t.files = append(t.files, &file{
		path: relative, dir: path.Dir(relative), test: strings.HasSuffix(relative, "_test.go"),
		lines: bytes.Count(text, []byte("\n")), syntax: syntax,
	})
	return nil
}

// within reports whether the file's folder is dir or below it.
func (f *file) within(dir string) bool { return f.dir == dir || strings.HasPrefix(f.dir, dir+"/") }

// forTests reports whether the file only serves tests: a test, a part of tests/, or a package such as
// pgtest whose name says so.
func (f *file) forTests() bool { return f.test || f.within("tests") || supportPackage(f.dir) }

// supportPackage reports whether the folder holds a package for tests, after the fashion of httptest.
func supportPackage(dir string) bool {
	base := path.Base(dir)
	return strings.HasSuffix(base, "test") && base != "test"
}

// imports gives the file's imports by their path.
func (f *file) imports() map[string]*ast.ImportSpec {
	found := map[string]*ast.ImportSpec{}
	for _, spec := range f.syntax.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			found[name] = spec
		}
	}
	return found
}

// localName gives the name by which the file knows the package, "" when it does not import it.
func (f *file) localName(importPath string) string {
	spec, ok := f.imports()[importPath]
	switch {
	case !ok:
		return ""
	case spec.Name != nil:
		return spec.Name.Name
	}
	return path.Base(importPath)
}

// refers reports whether the expression is name of the package that the file imports.
func (f *file) refers(e ast.Expr, importPath, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == f.localName(importPath)
}
