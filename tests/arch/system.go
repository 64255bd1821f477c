package arch

import (
	"go/ast"
	"maps"
	"slices"
)

// checkSystem names who may run statements across tenants: the list is short, written, and has no entry
// that is not used.
func checkSystem(t *tree, law Law, r *report) {
	used := map[string]bool{}
	t.each(func(f *file) bool { return !f.forTests() && !f.within("internal/platform/postgres") }, func(f *file, n ast.Node) {
		e, ok := n.(ast.Expr)
		if !ok || !f.refers(e, t.module+"/internal/platform/postgres", "AsSystem") {
			return
		}
		used[f.path] = true
		if law.SystemCallers[f.path] == "" {
			r.at(n.Pos(), "postgres.AsSystem sees every tenant: a new caller is entered in tests/arch/house.go with its reason")
		}
	})
	for _, file := range slices.Sorted(maps.Keys(law.SystemCallers)) {
		if !used[file] {
			r.line(file, 1, "is listed as a caller of postgres.AsSystem and is none: strike it from the list")
		}
	}
}
