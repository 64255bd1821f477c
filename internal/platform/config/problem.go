package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/larirun/lari/internal/platform/fault"
)

// problems collects what is wrong, so that one start shows all of it.
type problems struct{ fields []fault.Field }

func (p *problems) add(name, rule, format string, args ...any) {
	p.fields = append(p.fields, fault.Field{Field: name, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

// has reports whether something is wrong with the variable already: what depends on it is not checked then.
func (p *problems) has(name string) bool {
	return slices.ContainsFunc(p.fields, func(f fault.Field) bool { return f.Field == name })
}

// hasPrefix is has for a family of variables.
func (p *problems) hasPrefix(prefix string) bool {
	return slices.ContainsFunc(p.fields, func(f fault.Field) bool { return strings.HasPrefix(f.Field, prefix) })
}

// err gives nil, or a fault.Invalid with a line and a field per problem.
func (p *problems) err() error {
	if len(p.fields) == 0 {
		return nil
	}
	var b strings.Builder
	if len(p.fields) == 1 {
		b.WriteString("the configuration has a problem:")
	} else {
		fmt.Fprintf(&b, "the configuration has %d problems:", len(p.fields))
	}
	for _, f := range p.fields {
		fmt.Fprintf(&b, "\n  %s %s", f.Field, f.Message)
	}
	return &fault.Error{Code: fault.Invalid, Detail: b.String(), Fields: p.fields}
}
