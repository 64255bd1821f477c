package storable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// MaxDepth bounds how deep arrays and objects nest. It is what the API takes, so that what is shown can be sent
// back; Postgres gives up at some thousands, depending on the size of its stack.
const MaxDepth = 64

// maxKeptDepth bounds what JSON leaves as it is: content at MaxDepth inside an envelope of Lari's own.
const maxKeptDepth = MaxDepth + 16

// CheckJSON reports why the text cannot be kept as jsonb without changing what it says; nil: it can. The error is made
// for whoever wrote the text.
func CheckJSON(data []byte) error {
	switch {
	case !utf8.Valid(data):
		return errors.New("the JSON is not valid UTF-8")
	case !json.Valid(data):
		return errors.New("the text is not JSON")
	}
	var first error
	walk(data, func(f finding) {
		if first == nil && (f.kind != tooDeep || f.depth == MaxDepth+1) {
			first = errors.New(f.kind.String())
		}
	})
	return first
}

// JSON returns a JSON text as jsonb keeps it. What it cannot keep is replaced: characters by U+FFFD, numbers out
// of range by their digits as a string, and arrays and objects that nest too deep by null. A text that needs no
// change is returned itself. A text that is not JSON becomes a JSON string.
func JSON(data []byte) json.RawMessage {
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte(replacement))
	}
	if !json.Valid(data) {
		return quote(string(data))
	}
	// What nests too deep goes first: it may hold what the second pass would replace.
	data = replace(data, func(f finding) (string, bool) { return "null", f.kind == tooDeep && f.depth == maxKeptDepth+1 })
	return replace(data, func(f finding) (string, bool) {
		if f.kind == outOfRange {
			return `"` + Clip(string(data[f.start:f.end]), maxDigits) + `"`, true
		}
		return `\ufffd`, f.kind != tooDeep
	})
}

// replace returns valid JSON with other text in place of the pieces that by selects, which must not overlap.
func replace(data []byte, by func(finding) (text string, selected bool)) []byte {
	var out []byte
	kept := 0 // how far data has been copied to out
	walk(data, func(f finding) {
		if text, selected := by(f); selected {
			out = append(append(out, data[kept:f.start]...), text...)
			kept = f.end
		}
	})
	if kept == 0 {
		return data
	}
	return append(out, data[kept:]...)
}

// Marshal encodes a value of Lari's own that holds foreign content, as jsonb keeps it.
func Marshal(v any) (json.RawMessage, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return JSON(data), nil
}

// quote returns text as a JSON string.
func quote(text string) json.RawMessage {
	quoted, err := json.Marshal(Text(text))
	if err != nil { // a string always encodes
		return json.RawMessage(`""`)
	}
	return quoted
}

// problem is why a piece of JSON cannot be kept.
type problem int

const (
	nulCharacter problem = iota
	halfSurrogate
	outOfRange
	tooDeep
)

// String returns the problem in words for whoever wrote the text.
func (p problem) String() string {
	switch p {
	case nulCharacter:
		return "the JSON holds the character U+0000, which cannot be stored"
	case halfSurrogate:
		return "the JSON holds half of a surrogate pair, which is no character"
	case outOfRange:
		return "the JSON holds a number out of range"
	case tooDeep:
		return fmt.Sprintf("the JSON nests deeper than %d levels", MaxDepth)
	}
	return "problem " + strconv.Itoa(int(p))
}

// finding is a piece of a JSON text that cannot be kept: data[start:end].
type finding struct {
	kind       problem
	start, end int
	depth      int // tooDeep: of the array or object, from 1
}

// walk calls found for each piece of valid JSON that cannot be kept, in the order of their ends: an array or object
// that nests too deep comes after what it holds.
func walk(data []byte, found func(finding)) {
	var open []int // where arrays and objects that are open begin
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case c == '"':
			i = walkString(data, i+1, found)
		case c == '{', c == '[':
			open = append(open, i)
			i++
		case c == '}', c == ']':
			i++
			if depth := len(open); depth > MaxDepth {
				found(finding{kind: tooDeep, start: open[depth-1], end: i, depth: depth})
			}
			open = open[:len(open)-1]
		case c == '-', c >= '0' && c <= '9':
			end := i + 1
			for end < len(data) && isNumberByte(data[end]) {
				end++
			}
			if !FitsNumber(string(data[i:end])) {
				found(finding{kind: outOfRange, start: i, end: end})
			}
			i = end
		default:
			i++
		}
	}
}

// walkString looks at a string from behind its opening quote and returns the position behind its closing one.
func walkString(data []byte, i int, found func(finding)) int {
	for data[i] != '"' {
		if data[i] != '\\' {
			i++
			continue
		}
		if data[i+1] != 'u' {
			i += 2
			continue
		}
		unit := hex4(data[i+2:])
		switch {
		case unit == 0:
			found(finding{kind: nulCharacter, start: i, end: i + 6})
		case isHigh(unit) && data[i+6] == '\\' && data[i+7] == 'u' && isLow(hex4(data[i+8:])):
			i += 6
		case isHigh(unit) || isLow(unit):
			found(finding{kind: halfSurrogate, start: i, end: i + 6})
		}
		i += 6
	}
	return i + 1
}

func isHigh(unit uint64) bool { return unit >= 0xd800 && unit <= 0xdbff }

func isLow(unit uint64) bool { return unit >= 0xdc00 && unit <= 0xdfff }

// hex4 reads the four digits of an escape, which json.Valid has seen.
func hex4(digits []byte) uint64 {
	unit, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil {
		return 0
	}
	return unit
}

func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}
