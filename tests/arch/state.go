package arch

import (
	"go/ast"
	"go/token"
	"path"
	"strings"
)

// checkInit allows no init function: what a program does when it starts is written in its main.
func checkInit(t *tree, _ Law, r *report) {
	for _, f := range t.files {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				r.at(fn.Pos(), "there are no init functions: the composition root calls what must happen")
			}
		}
	}
}

// checkState allows package-level variables that nobody changes: errors, compiled expressions, tables,
// interface guards, embedded files. What can only be changed, or is changed somewhere, is global state.
func checkState(t *tree, _ Law, r *report) {
	packages := map[string][]*file{}
	for _, f := range t.files {
		if !f.test {
			packages[f.dir] = append(packages[f.dir], f)
		}
	}
	for _, files := range packages {
		declared := map[string]*ast.ValueSpec{}
		for _, f := range files {
			for _, d := range f.syntax.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
					declareAll(f, g, declared, r)
				}
			}
		}
		for _, f := range files {
			findWrites(f, declared, r)
		}
	}
}

func declareAll(f *file, g *ast.GenDecl, declared map[string]*ast.ValueSpec, r *report) {
	for _, s := range g.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, name := range spec.Names {
			if name.Name == "_" {
				continue
			}
			declared[name.Name] = spec
			if why := mutable(f, g, spec, i); why != "" {
				r.at(name.Pos(), "package-level state: %s", why)
			}
		}
	}
}

// mutable says why a variable's kind makes sense only when it changes, "" if it does not.
func mutable(f *file, g *ast.GenDecl, spec *ast.ValueSpec, i int) string {
	if touches(f, spec.Type, "sync", "sync/atomic") || i < len(spec.Values) && touches(f, literalType(spec.Values[i]), "sync", "sync/atomic") {
		return "a lock or an atomic value"
	}
	if i >= len(spec.Values) {
		if _, pointer := spec.Type.(*ast.StarExpr); pointer || embeds(g, spec) || len(spec.Values) > 0 {
			return ""
		}
		return "a variable without a value waits to be set"
	}
	if call, ok := spec.Values[i].(*ast.CallExpr); ok {
		if fn, ok := call.Fun.(*ast.Ident); ok && (fn.Name == "make" || fn.Name == "new") {
			return "an empty " + fn.Name + " waits to be filled"
		}
	}
	return ""
}

func literalType(e ast.Expr) ast.Expr {
	if u, ok := e.(*ast.UnaryExpr); ok {
		e = u.X
	}
	if c, ok := e.(*ast.CompositeLit); ok {
		return c.Type
	}
	return nil
}

// touches reports whether the type expression names a type of one of the packages.
func touches(f *file, e ast.Expr, packages ...string) (found bool) {
	if e == nil {
		return false
	}
	ast.Inspect(e, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			x, isName := s.X.(*ast.Ident)
			for _, p := range packages {
				found = found || isName && f.localName(p) != "" && x.Name == path.Base(f.localName(p))
			}
		}
		return true
	})
	return found
}

func embeds(g *ast.GenDecl, spec *ast.ValueSpec) bool {
	for _, group := range []*ast.CommentGroup{g.Doc, spec.Doc} {
		if group == nil {
			continue
		}
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// findWrites reports what changes a package-level variable: an assignment to it or to a part of it, its
// address, delete and clear.
func findWrites(f *file, declared map[string]*ast.ValueSpec, r *report) {
	written := func(e ast.Expr) {
		name := rootName(e)
		if name == nil {
			return
		}
		spec, ok := declared[name.Name]
		// An identifier that the parser resolved to something else is a local one of the same name.
		if ok && (name.Obj == nil || name.Obj.Decl == spec) {
			r.at(e.Pos(), "package-level state: %s is changed here", name.Name)
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				return true
			}
			for _, left := range n.Lhs {
				written(left)
			}
		case *ast.IncDecStmt:
			written(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				written(n.X)
			}
		case *ast.CallExpr:
			if fn, ok := n.Fun.(*ast.Ident); ok && (fn.Name == "delete" || fn.Name == "clear") && len(n.Args) > 0 {
				written(n.Args[0])
			}
		}
		return true
	})
}

// rootName gives the variable of which the expression is a part.
func rootName(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
