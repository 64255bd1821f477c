package arch

import (
	"go/ast"
	"strings"
)

// checkPanic allows a panic in main, in tests and in constructors that say Must; and net/http's own way
// to drop a connection.
func checkPanic(t *tree, _ Law, r *report) {
	for _, f := range t.files {
		if f.forTests() || f.syntax.Name.Name == "main" {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(strings.ToLower(fn.Name.Name), "must") {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 1 {
					return true
				}
				if fn, ok := call.Fun.(*ast.Ident); ok && fn.Name == "panic" && !f.refers(call.Args[0], "net/http", "ErrAbortHandler") {
					r.at(call.Pos(), "no panic crosses a package: return an error")
				}
				return true
			})
		}
	}
}

// checkSleep allows no sleep: waiting means waiting for something. Inside a synctest bubble time is
// virtual, and a sleep is a statement about it.
func checkSleep(t *tree, _ Law, r *report) {
	for _, f := range t.files {
		virtual := bubbles(f)
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if virtual[n] {
				return false
			}
			if call, ok := n.(*ast.CallExpr); ok && f.refers(call.Fun, "time", "Sleep") {
				r.at(call.Pos(), "nothing sleeps: wait for a signal, a timer with a context, or use testing/synctest")
			}
			return true
		})
	}
}

// bubbles gives what runs in virtual time: the functions handed to synctest.Test, and those of the same
// file that they lead to by name.
func bubbles(f *file) map[ast.Node]bool {
	virtual := map[ast.Node]bool{}
	functions := map[string][]*ast.FuncDecl{}
	for _, d := range f.syntax.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			functions[fn.Name.Name] = append(functions[fn.Name.Name], fn)
		}
	}
	var enter func(n ast.Node)
	enter = func(n ast.Node) {
		if virtual[n] {
			return
		}
		virtual[n] = true
		ast.Inspect(n, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok {
				for _, fn := range functions[name.Name] {
					enter(fn)
				}
			}
			return true
		})
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && f.refers(call.Fun, "testing/synctest", "Test") {
			enter(call.Args[len(call.Args)-1])
		}
		return true
	})
	return virtual
}
