package api

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// shape is what a place in a request body may hold. It is made once per type, so that bodies are
// checked in one pass over their bytes, with names as the caller wrote them; encoding/json alone would
// match names in any case, take the last of two equal keys and repair broken UTF-8 in silence.
type shape struct {
	kind   kind
	bits   int               // of integers
	fields map[string]member // of structs
	elem   *shape            // of arrays and maps
	parse  func(raw []byte) error
	noun   string // what a custom value is called in messages
	loose  bool   // a custom value may be any JSON, not only a string
}

type member struct {
	name  []byte
	shape *shape
	index int
}

type kind uint8

const (
	anything kind = iota
	object
	mapping
	array
	text
	integer
	unsigned
	number
	boolean
	custom
)

// maxFields is the number of bits that tell a struct's fields apart.
const maxFields = 64

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	rawMessage      = reflect.TypeFor[json.RawMessage]()
)

// shapes makes shapes and remembers those under way, for types that contain themselves.
type shapes map[reflect.Type]*shape

func (m shapes) of(t reflect.Type) (*shape, error) {
	if t.Kind() == reflect.Pointer {
		return m.of(t.Elem())
	}
	if s, ok := m[t]; ok {
		return s, nil
	}
	s := &shape{}
	m[t] = s
	if t == rawMessage || t.Kind() == reflect.Interface {
		return s, nil
	}
	if p := reflect.PointerTo(t); p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler) {
		s.kind, s.noun = custom, noun(t)
		s.loose = s.noun == unknownNoun || t == decimalType
		s.parse = func(raw []byte) error { return parseCustom(t, raw) }
		return s, nil
	}
	return s, m.fill(s, t)
}

func (m shapes) fill(s *shape, t reflect.Type) (err error) {
	switch k := t.Kind(); {
	case k == reflect.String:
		s.kind = text
	case k == reflect.Bool:
		s.kind = boolean
	case k >= reflect.Int && k <= reflect.Int64:
		s.kind, s.bits = integer, t.Bits()
	case k >= reflect.Uint && k <= reflect.Uint64:
		s.kind, s.bits = unsigned, t.Bits()
	case k == reflect.Float32 || k == reflect.Float64:
		s.kind = number
	case k == reflect.Slice:
		s.kind = array
		s.elem, err = m.of(t.Elem())
	case k == reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("%s: the keys of a map must be strings", t)
		}
		s.kind = mapping
		s.elem, err = m.of(t.Elem())
	case k == reflect.Struct:
		s.kind, s.fields = object, map[string]member{}
		err = m.addFields(s, t)
	default:
		return fmt.Errorf("%s cannot stand in a request body", t)
	}
	return err
}

func (m shapes) addFields(s *shape, t reflect.Type) error {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			if err := m.addFields(s, f.Type); err != nil {
				return err
			}
			continue
		case !f.IsExported() || name == "" || name == "-":
			continue
		}
		if _, twice := s.fields[name]; twice {
			return fmt.Errorf("%s: two fields are named %q", t, name)
		}
		elem, err := m.of(f.Type)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		if len(s.fields) == maxFields {
			return fmt.Errorf("%s has more than %d fields", t, maxFields)
		}
		s.fields[name] = member{name: []byte(name), shape: elem, index: len(s.fields)}
	}
	return nil
}
