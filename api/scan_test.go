package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/fault"
)

// FuzzCheckBody holds the scanner to encoding/json: it takes no text that is not JSON, refuses none that
// is but for the reasons it has, and what it takes decodes.
func FuzzCheckBody(f *testing.F) {
	for _, seed := range []string{
		`{"name":"a"}`, `{}`, `{"name":"\u00e4\ud83d\ude00","share":-1.5e-3}`, `{"parts":[{"role":"user"},null]}`,
		`{"budget":{"max_steps":3,"labels":{"a":"b"}},"metadata":[[1]]}`, `{"name":"a",}`, `{"share":.5}`, `{"name":"\x"}`,
		`{"due":"2026-01-02T15:04:05Z","owner":"0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f"}`, "{\"name\":\"\x00\"}", `[`, ``, `{"`,
	} {
		f.Add(seed)
	}
	p, err := planOf(reflect.TypeFor[thing]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		err := checkBody([]byte(body), p.body)
		valid := json.Valid([]byte(body))
		switch code := fault.CodeOf(err); {
		case err == nil:
			if !valid {
				t.Fatalf("%q is not JSON", body)
			}
			if err := json.Unmarshal([]byte(body), new(thing)); err != nil {
				t.Errorf("%q was taken, but does not decode: %v", body, err)
			}
		case code == fault.Invalid:
			// A NUL or number is refused where it stands, even if the text is broken further on.
		case code != fault.Malformed:
			t.Errorf("%q gives %v", body, err)
		case valid && !explained(err.Error()):
			t.Errorf("%q is JSON, but is refused: %v", body, err)
		}
	})
}

// explained reports whether the refusal is of JSON that this side does not take.
func explained(message string) bool {
	for _, reason := range []string{"UTF-8", "twice", "deeper", "must be a JSON object", "surrogate"} {
		if strings.Contains(message, reason) {
			return true
		}
	}
	return false
}

func TestManyNamesAreTold(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"metadata": {`)
	for i := range 500 {
		b.WriteString(`"n` + strings.Repeat("x", i) + `": 1, `)
	}
	if err := checkBody([]byte(b.String()+`"last": 1}}`), mustPlan(t).body); err != nil {
		t.Error(err)
	}
	if err := checkBody([]byte(b.String()+`"nxxx": 1}}`), mustPlan(t).body); err == nil || !strings.Contains(err.Error(), "metadata.nxxx") {
		t.Errorf("a name twice among many: %v", err)
	}
}

func mustPlan(t *testing.T) *plan {
	t.Helper()
	p, err := planOf(reflect.TypeFor[thing]())
	if err != nil {
		t.Fatal(err)
	}
	return p
}
