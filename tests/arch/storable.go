package arch

import "go/ast"

// checkStorable keeps one door for what Postgres may refuse: text is made storable in internal/platform/storable alone,
// and a store encodes JSON with it. encoding/json writes what jsonb does not take.
func checkStorable(t *tree, _ Law, r *report) {
	kept := func(f *file) bool { return !f.forTests() && !in("internal/platform/storable", devstack)(f) }
	t.each(kept, func(f *file, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		switch {
		case !ok:
		case f.refers(call.Fun, "strings", "ToValidUTF8"), f.refers(call.Fun, "bytes", "ToValidUTF8"):
			r.at(call.Pos(), "text is made storable by internal/platform/storable")
		case storeFile(f) && f.refers(call.Fun, "encoding/json", "Marshal"):
			r.at(call.Pos(), "a store encodes JSON with internal/platform/storable: jsonb refuses what encoding/json may write")
		}
	})
}
