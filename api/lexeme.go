package api

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
)

func (sc *scanner) name() ([]byte, error) {
	raw, escaped, err := sc.str()
	if err != nil {
		return nil, err
	}
	if !escaped {
		return raw[1 : len(raw)-1], nil
	}
	var name string
	if json.Unmarshal(raw, &name) != nil {
		return nil, sc.broken()
	}
	return []byte(name), nil
}

// str reads a string with its quotes.
func (sc *scanner) str() (raw []byte, escaped bool, err error) {
	start := sc.pos
	for sc.pos++; sc.pos < len(sc.data); sc.pos++ {
		switch c := sc.data[sc.pos]; {
		case c == '"':
			sc.pos++
			return sc.data[start:sc.pos], escaped, nil
		case c < ' ':
			return nil, false, sc.broken()
		case c == '\\':
			escaped = true
			if err := sc.escape(); err != nil {
				return nil, false, err
			}
		}
	}
	return nil, false, sc.broken()
}

// escape leaves pos on the last byte of the escape.
func (sc *scanner) escape() error {
	sc.pos++
	if sc.pos >= len(sc.data) || !strings.ContainsRune(`"\/bfnrtu`, rune(sc.data[sc.pos])) {
		return sc.broken()
	}
	if sc.data[sc.pos] != 'u' {
		return nil
	}
	unit, ok := sc.hex4(sc.pos + 1)
	if !ok {
		return sc.broken()
	}
	sc.pos += 4
	switch {
	case unit == 0:
		// Postgres cannot store it, in text or jsonb.
		return sc.invalid("nul", "must not hold the character U+0000")
	case unit >= 0xdc00 && unit <= 0xdfff:
		return sc.halfSurrogate()
	case unit >= 0xd800 && unit <= 0xdbff:
		low, ok := sc.hex4(sc.pos + 3)
		if !ok || sc.data[sc.pos+1] != '\\' || sc.data[sc.pos+2] != 'u' || low < 0xdc00 || low > 0xdfff {
			return sc.halfSurrogate()
		}
		sc.pos += 6
	}
	return nil
}

func (sc *scanner) halfSurrogate() error {
	return fault.New(fault.Malformed, "The body holds half of a surrogate pair before byte %d: that is no character.", sc.pos+1)
}

func (sc *scanner) hex4(at int) (uint64, bool) {
	if at+4 > len(sc.data) {
		return 0, false
	}
	for _, c := range sc.data[at : at+4] {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return 0, false
		}
	}
	v, err := strconv.ParseUint(string(sc.data[at:at+4]), 16, 16)
	return v, err == nil
}

func (sc *scanner) digits() bool {
	start := sc.pos
	for sc.pos < len(sc.data) && sc.data[sc.pos] >= '0' && sc.data[sc.pos] <= '9' {
		sc.pos++
	}
	return sc.pos > start
}

func (sc *scanner) at(set string) bool {
	return sc.pos < len(sc.data) && strings.IndexByte(set, sc.data[sc.pos]) >= 0
}

func (sc *scanner) number(s *shape) error {
	start, whole := sc.pos, true
	if sc.at("-") {
		sc.pos++
	}
	if sc.at("0") {
		sc.pos++
	} else if !sc.digits() {
		return sc.broken()
	}
	if sc.at(".") {
		whole = false
		if sc.pos++; !sc.digits() {
			return sc.broken()
		}
	}
	if sc.at("eE") {
		whole = false
		sc.pos++
		if sc.at("+-") {
			sc.pos++
		}
		if !sc.digits() {
			return sc.broken()
		}
	}
	return sc.fits(s, string(sc.data[start:sc.pos]), whole)
}

// fits holds numbers to what this side can keep: Postgres' numeric knows greater ones than float64, but not all
// that JSON can write.
func (sc *scanner) fits(s *shape, digits string, whole bool) error {
	var err error
	ok := true
	switch {
	case s.kind == integer && !whole, s.kind == unsigned && !whole:
		return sc.invalid("type", "must be a whole number")
	case s.kind == integer:
		_, err = strconv.ParseInt(digits, 10, s.bits)
	case s.kind == unsigned:
		_, err = strconv.ParseUint(digits, 10, s.bits)
	default:
		ok = storable.FitsNumber(digits)
	}
	if err != nil || !ok {
		return sc.invalid("range", "is a number out of range")
	}
	return nil
}
