package api

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// plan says how a request becomes an input struct. It is made once per type; a type that it cannot
// serve is an error when the process starts, not when a request comes.
//
// Each exported field carries exactly one of the tags json (a field of the body), path, query and
// header, or json:"-" alone for what is not the caller's to fill; structs are embedded to share inputs
// between routes. A query field may have a default tag.
type plan struct {
	body      *shape // nil: the route takes no body
	needsBody bool
	query     map[string]*param
	headers   []*param
	path      []*param
	defaults  []*param
	guards    []fieldGuard // fields of the body that need a permission
	rules     bool         // there are validate tags
}

// param is a field that is not part of the body.
type param struct {
	name     string
	in       string // path, query, header
	index    []int
	set      setter
	noun     string
	many     bool // a slice: the parameter may be repeated
	fallback string
}

func planOf(t reflect.Type) (*plan, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the input %s is not a struct", t)
	}
	p := &plan{query: map[string]*param{}}
	err := p.add(t, nil)
	if err != nil {
		return nil, fmt.Errorf("the input %s: %w", t, err)
	}
	s := &shape{kind: object, fields: map[string]member{}}
	if err := (shapes{}).addFields(s, t); err != nil {
		return nil, fmt.Errorf("the input %s: %w", t, err)
	}
	if len(s.fields) > 0 {
		p.body = s
	}
	if p.guards, err = guardsOf(t); err != nil {
		return nil, fmt.Errorf("the input %s: %w", t, err)
	}
	return p, checkRules(t)
}

func (p *plan) add(t reflect.Type, at []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(at), i)
		_, inBody := f.Tag.Lookup("json") // an embedded struct with a name is an object in the body
		if f.Tag.Get("validate") != "" {
			p.rules = true
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct && !inBody {
			if err := p.add(f.Type, index); err != nil {
				return err
			}
			continue
		}
		if !f.IsExported() {
			if f.Name == "_" {
				continue
			}
			return fmt.Errorf("field %s is not exported", f.Name)
		}
		if err := p.addField(f, index); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return nil
}

func (p *plan) addField(f reflect.StructField, index []int) error {
	var in, name string
	for _, tag := range []string{"json", "path", "query", "header"} {
		value, ok := f.Tag.Lookup(tag)
		switch {
		case !ok || value == "-":
			continue
		case in != "":
			return fmt.Errorf("it has two of the tags json, path, query, header")
		}
		in = tag
		name, _, _ = strings.Cut(value, ",")
	}
	switch {
	case in == "" && f.Tag.Get("json") == "-": // not the caller's to fill
		return nil
	case in == "" || name == "":
		return fmt.Errorf("it has none of the tags json, path, query, header")
	case in == "json":
		p.rules = p.rules || nestedRules(f.Type, map[reflect.Type]bool{})
		p.needsBody = p.needsBody || slices.Contains(strings.Split(f.Tag.Get("validate"), ","), "required")
		return nil
	}
	q := &param{name: name, in: in, index: index, fallback: f.Tag.Get("default")}
	elem := f.Type
	if q.many = elem.Kind() == reflect.Slice; q.many {
		elem = elem.Elem()
	}
	var err error
	if q.set, q.noun, err = scalar(elem); err != nil {
		return err
	}
	return p.place(q, elem)
}

func (p *plan) place(q *param, elem reflect.Type) error {
	if q.many && (q.in != "query" || q.fallback != "") {
		return fmt.Errorf("only query parameters without a default can be repeated")
	}
	if q.fallback != "" {
		if err := q.set(reflect.New(elem).Elem(), q.fallback); err != nil {
			return fmt.Errorf("its default does not fit: %w", err)
		}
		p.defaults = append(p.defaults, q)
	}
	switch q.in {
	case "query":
		if p.query[q.name] != nil {
			return fmt.Errorf("two fields are named %s", q.name)
		}
		p.query[q.name] = q
	case "header":
		p.headers = append(p.headers, q)
	case "path":
		p.path = append(p.path, q)
	}
	return nil
}

// nestedRules reports whether a type of the body has validate tags somewhere.
func nestedRules(t reflect.Type, seen map[reflect.Type]bool) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return false
	}
	seen[t] = true
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("validate") != "" || nestedRules(f.Type, seen) {
			return true
		}
	}
	return false
}
