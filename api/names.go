package api

import (
	"bytes"
	"strings"
	"unicode"
)

// names notices a name that comes twice in one object. Fields of structs are told apart by a bit, the
// names of free objects are kept: a few in an array, many in a map, so that no body makes it quadratic.
type names struct {
	bits uint64
	few  [8][]byte // of the body, which outlives them
	n    int
	many map[string]struct{}
}

func (n *names) field(index int) (twice bool) {
	bit := uint64(1) << (index % maxFields)
	twice = n.bits&bit != 0
	n.bits |= bit
	return twice
}

func (n *names) name(name []byte) (twice bool) {
	if n.many != nil {
		_, twice = n.many[string(name)]
		n.many[string(name)] = struct{}{}
		return twice
	}
	for _, f := range n.few[:n.n] {
		if bytes.Equal(f, name) {
			return true
		}
	}
	if n.n < len(n.few) {
		n.few[n.n] = name
		n.n++
		return false
	}
	n.many = make(map[string]struct{}, 4*len(n.few))
	for _, f := range append(n.few[:], name) {
		n.many[string(f)] = struct{}{}
	}
	return false
}

// printable makes a caller's name fit to be repeated: short, and without control characters.
func printable(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, name)
	if runes := []rune(name); len(runes) > 64 {
		return string(runes[:64]) + "…"
	}
	return name
}
