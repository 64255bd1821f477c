package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/larirun/lari/internal/platform/fault"
)

// maxDepth bounds how deep arrays and objects nest.
const maxDepth = 64

// checkBody reads a JSON text against the shape without decoding it. What is not JSON (RFC 8259), not
// valid UTF-8, has two equal names in an object or text after the value is Malformed; what is JSON but
// does not fit the shape is Invalid and names the place.
func checkBody(body []byte, s *shape) error {
	if !utf8.Valid(body) {
		return fault.New(fault.Malformed, "The body is not valid UTF-8.")
	}
	sc := scanner{data: body}
	sc.path = sc.steps[:0]
	sc.space()
	if sc.pos < len(body) && body[sc.pos] != '{' {
		if !json.Valid(body) {
			return sc.broken()
		}
		return fault.New(fault.Malformed, "The body must be a JSON object.")
	}
	if err := sc.value(s); err != nil {
		return err
	}
	if sc.space(); sc.pos < len(body) {
		return fault.New(fault.Malformed, "The body holds more than one JSON value: there is text after byte %d.", sc.pos)
	}
	return nil
}

type scanner struct {
	data []byte
	pos  int
	path []step
	free shape // of places that take any JSON

	steps [8]step // where path begins: few bodies are deeper
}

// step is one part of the path to the value that is being read: a name, or the index in an array.
type step struct {
	name  []byte
	index int // -1: name counts
}

func (sc *scanner) broken() error {
	if sc.pos >= len(sc.data) {
		return fault.New(fault.Malformed, "The body is not valid JSON: it ends too early.")
	}
	return fault.New(fault.Malformed, "The body is not valid JSON: unexpected character at byte %d.", sc.pos)
}

func (sc *scanner) invalid(rule, format string, args ...any) error {
	return fault.InvalidField(sc.place(), rule, format, args...)
}

func (sc *scanner) place() string {
	if len(sc.path) == 0 {
		return "body"
	}
	var b strings.Builder
	for i, st := range sc.path {
		switch {
		case st.index >= 0:
			b.WriteString("[" + strconv.Itoa(st.index) + "]")
		case i > 0:
			b.WriteByte('.')
			b.Write(st.name)
		default:
			b.Write(st.name)
		}
	}
	return b.String()
}

func (sc *scanner) space() {
	for sc.pos < len(sc.data) {
		switch sc.data[sc.pos] {
		case ' ', '\t', '\r', '\n':
			sc.pos++
		default:
			return
		}
	}
}

// next skips space and gives the byte that follows, 0 at the end.
func (sc *scanner) next() byte {
	sc.space()
	if sc.pos < len(sc.data) {
		return sc.data[sc.pos]
	}
	return 0
}

func (sc *scanner) value(s *shape) error {
	if len(sc.path) > maxDepth {
		return fault.New(fault.Malformed, "The body nests deeper than %d levels.", maxDepth)
	}
	c := sc.next()
	start := sc.pos
	if c == 'n' { // null stands for an absent value everywhere; "required" is the validator's business
		return sc.literal("null")
	}
	if err := s.accepts(c); err != "" {
		if !json.Valid(sc.data) {
			return sc.syntax()
		}
		return sc.invalid("type", "%s", err)
	}
	var err error
	switch {
	case c == '{':
		err = sc.object(s)
	case c == '[':
		err = sc.array(s)
	case c == '"':
		_, _, err = sc.str()
	case c == 't':
		err = sc.literal("true")
	case c == 'f':
		err = sc.literal("false")
	case c == '-' || c >= '0' && c <= '9':
		err = sc.number(s)
	default:
		err = sc.broken()
	}
	if err != nil || s.parse == nil {
		return err
	}
	if s.parse(sc.data[start:sc.pos]) != nil {
		return sc.invalid("format", "must be %s", s.noun)
	}
	return nil
}

// syntax finds where the text stops being JSON, for a text that is known not to be.
func (sc *scanner) syntax() error {
	again := scanner{data: sc.data}
	if err := again.value(&shape{}); err != nil {
		return err
	}
	return again.broken()
}

func (sc *scanner) literal(word string) error {
	if !bytes.HasPrefix(sc.data[sc.pos:], []byte(word)) {
		return sc.broken()
	}
	sc.pos += len(word)
	return nil
}

func (sc *scanner) object(s *shape) error {
	sc.pos++
	var seen names
	if sc.next() == '}' {
		sc.pos++
		return nil
	}
	for {
		if sc.next() != '"' {
			return sc.broken()
		}
		raw, err := sc.name()
		if err != nil {
			return err
		}
		if sc.next() != ':' {
			return sc.broken()
		}
		sc.pos++
		name, elem, twice, err := sc.memberOf(s, raw, &seen)
		if err != nil {
			return err
		}
		sc.path = append(sc.path, step{name: name, index: -1})
		if twice {
			return fault.New(fault.Malformed, "The body has the name %q twice.", sc.place())
		}
		if err := sc.value(elem); err != nil {
			return err
		}
		sc.path = sc.path[:len(sc.path)-1]
		switch sc.next() {
		case ',':
			sc.pos++
		case '}':
			sc.pos++
			return nil
		default:
			return sc.broken()
		}
	}
}

func (sc *scanner) memberOf(s *shape, raw []byte, seen *names) (name []byte, elem *shape, twice bool, err error) {
	if s.kind == mapping {
		return raw, s.elem, seen.name(raw), nil
	}
	if s.kind != object {
		return raw, &sc.free, seen.name(raw), nil
	}
	m, known := s.fields[string(raw)]
	if !known {
		if !json.Valid(sc.data) {
			return nil, nil, false, sc.syntax()
		}
		sc.path = append(sc.path, step{name: []byte(printable(string(raw))), index: -1})
		return nil, nil, false, sc.invalid("unknown", "is not a known field")
	}
	return m.name, m.shape, seen.field(m.index), nil
}

func (sc *scanner) array(s *shape) error {
	elem := &sc.free
	if s.kind == array {
		elem = s.elem
	}
	sc.pos++
	if sc.next() == ']' {
		sc.pos++
		return nil
	}
	sc.path = append(sc.path, step{})
	for i := 0; ; i++ {
		sc.path[len(sc.path)-1].index = i
		if err := sc.value(elem); err != nil {
			return err
		}
		switch sc.next() {
		case ',':
			sc.pos++
		case ']':
			sc.pos++
			sc.path = sc.path[:len(sc.path)-1]
			return nil
		default:
			return sc.broken()
		}
	}
}
