package arch

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// statement recognises SQL that touches tables. Keywords are in one case, so that a sentence that begins
// with "Select" is none.
var statement = regexp.MustCompile(`\b(?:insert\s+into|INSERT\s+INTO|delete\s+from|DELETE\s+FROM)\s+[\w."]+|` +
	`\b(?:update|UPDATE)\s+(?:only\s+)?[\w."]+\s+(?:(?:as\s+)?\w+\s+)?(?:set|SET)\s+[\w"]+\s*=|` +
	`(?:^|[(\n;])\s*(?:select|SELECT)\b[^;]*?\b(?:from|FROM)\s+[\w."(]+`)

// checkSQL keeps SQL in the store files of domains, in the platform's postgres and in the migrations.
func checkSQL(t *tree, _ Law, r *report) {
	for _, f := range t.files {
		if f.forTests() || storeFile(f) || f.within("internal/platform/postgres") || f.within(devstack) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.Field:
				ast.Inspect(n.Type, func(n ast.Node) bool { return inspectText(r, n) })
				return false // a tag is no statement
			default:
				return inspectText(r, n)
			}
		})
	}
}

// inspectText reports the text that an expression makes, if it is SQL; false: its parts have been seen.
func inspectText(r *report, n ast.Node) bool {
	e, ok := n.(ast.Expr)
	if !ok {
		return true
	}
	text, ok := textOf(e)
	if !ok {
		return true
	}
	if statement.MatchString(text) {
		r.at(e.Pos(), "SQL belongs in a domain's store.go or store_*.go")
	}
	return false
}

// textOf gives a string literal, or a sum of strings with " x " in the place of what is no literal.
func textOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.ParenExpr:
		return textOf(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, okLeft := textOf(e.X)
		right, okRight := textOf(e.Y)
		if !okLeft && !okRight {
			return "", false
		}
		if !okLeft {
			left = " x "
		}
		if !okRight {
			right = " x "
		}
		return strings.Join([]string{left, right}, ""), true
	}
	return "", false
}
