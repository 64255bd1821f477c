package wire

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

type read struct {
	kind, data string
}

func events(body io.Reader) (out []read, stray string) {
	r := newEventReader(body)
	for {
		e, ok := r.next()
		if !ok {
			return out, string(r.stray)
		}
		out = append(out, read{e.Type, string(e.Data)})
	}
}

// FuzzEventReader demands that events do not depend on how their bytes arrive, nor on how lines end.
func FuzzEventReader(f *testing.F) {
	for _, seed := range []string{
		"data: {}\n\n", "event: x\ndata: a\ndata: b\n\n: c\n\ndata:[DONE]", "\xEF\xBB\xBFdata: {\"a\":1}\r\rdata: 2\r\n\r\n", "{\"error\":1}", "data\n\ndata: \n\n", "\r\n\n\r",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		whole, stray := events(bytes.NewReader(body))
		slow, strayToo := events(iotest.OneByteReader(bytes.NewReader(body)))
		if len(whole) != len(slow) || stray != strayToo {
			t.Fatalf("%q and %q, stray %q and %q", whole, slow, stray, strayToo)
		}
		for i := range whole {
			if whole[i] != slow[i] {
				t.Errorf("event %d is %q and %q", i, whole[i], slow[i])
			}
		}
		if bytes.ContainsRune(body, '\r') {
			return
		}
		for _, lineEnd := range []string{"\r", "\r\n"} {
			other, _ := events(strings.NewReader(strings.ReplaceAll(string(body), "\n", lineEnd)))
			if len(other) != len(whole) {
				t.Fatalf("with %q: %q, want %q", lineEnd, other, whole)
			}
			for i := range whole {
				if other[i] != whole[i] {
					t.Errorf("with %q event %d is %q, want %q", lineEnd, i, other[i], whole[i])
				}
			}
		}
	})
}

// FuzzJoiner demands that text does not depend on where it was cut, that it is UTF-8, and that valid text stays as it is.
func FuzzJoiner(f *testing.F) {
	f.Add("a😀b", 2)
	f.Add("\xed\xa0\xbd\xed\xb8\x80", 3)
	f.Add("\xf0\x9f\x98", 1)
	f.Add("\xed\xa0\xbd\xed\xa0\xbdx\xed\xb8\x80", 4)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if cut < 0 || cut > len(text) {
			return
		}
		if s, ok := lastSurrogate(text, cut); ok && s { // appendUnit writes surrogates whole
			return
		}
		var whole, halves Joiner
		one := whole.Add(text) + whole.Flush()
		two := halves.Add(text[:cut]) + halves.Add(text[cut:]) + halves.Flush()
		if one != two {
			t.Errorf("cut at %d: %q, want %q", cut, two, one)
		}
		if !utf8.ValidString(one) || utf8.ValidString(text) && one != text {
			t.Errorf("%q became %q", text, one)
		}
	})
}

// lastSurrogate reports whether the cut is inside the three bytes of a surrogate.
func lastSurrogate(text string, cut int) (inside, ok bool) {
	for at := max(0, cut-2); at < cut; at++ {
		if _, found := surrogate(text[at:]); found && at+3 > cut {
			return true, true
		}
	}
	return false, false
}

// FuzzRaw demands that strings are read as JSON says, but for halves of characters.
func FuzzRaw(f *testing.F) {
	f.Add(`"a\u00e9\ud83d\ude00\n\"\\\/"`)
	f.Add(`"\ud83d"`)
	f.Add(`12`)
	f.Fuzz(func(t *testing.T, text string) {
		if !gjson.Valid(text) {
			return
		}
		v := gjson.Parse(text)
		var j Joiner
		got := j.Add(Raw(v)) + j.Flush()
		if !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
		if v.Type == gjson.String && !strings.Contains(strings.ToLower(text), `\ud`) && utf8.ValidString(text) && got != v.Str {
			t.Errorf("%s is %q, want %q", text, got, v.Str)
		}
	})
}

// FuzzParseProblem demands that whatever a provider says of a failure can be shown.
func FuzzParseProblem(f *testing.F) {
	for _, seed := range []string{
		`{"error":{"message":"m","code":429}}`, `[{"error":{"message":"m"}}]`, `{"error":"{\"error\":{\"message\":\"m\"}}"}`, `{"detail":[{"loc":["a",1],"msg":"m"}]}`,
		`{"error":{"message":"p","metadata":{"raw":"{\"message\":\"q\"}"}}}`, `text`, `"text"`, `[[[[[[[[[["x"]]]]]]]]]]`, `{"code":1e999}`,
	} {
		f.Add([]byte(seed))
	}
	r := NewRedactor("a-secret-key-of-the-operator")
	f.Fuzz(func(t *testing.T, text []byte) {
		p := parseProblem(text)
		detail := r.Detail(p.message)
		if !utf8.ValidString(detail) || len([]rune(detail)) > maxDetail || strings.Contains(detail, "a-secret-key-of-the-operator") {
			t.Errorf("%q", detail)
		}
		if class := classify(0, p); class == "" {
			t.Error("no class")
		}
	})
}
