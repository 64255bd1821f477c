// Package arch is the law of this house, as a program: it parses every Go file and reports what breaks
// the rules of CONTRIBUTING.md that no linter knows. Each rule is a small function over the parsed tree;
// testdata/broken holds a violation of every one, so that a rule that has stopped working is noticed.
//
//	files ─► tree (packages, syntax) ─► rule, rule, rule … ─► violations (file, line, rule, sentence)
//
// Imports and syntax are enough for all of them: nothing is type-checked, so the whole tree takes a second.
package arch
