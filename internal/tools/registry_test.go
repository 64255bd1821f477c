package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/larirun/lari/internal/platform/fault"
)

func answer(text string) func(context.Context, json.RawMessage) (string, error) {
	return func(context.Context, json.RawMessage) (string, error) { return text, nil }
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	ok := scripted{name: "ok", call: answer("")}
	deep := strings.Repeat(`{"type":"object","properties":{"a":`, 3) + `{}` + strings.Repeat(`}}`, 3)
	for name, tt := range map[string]struct {
		tools []Tool
		want  string
	}{
		"nil":              {[]Tool{nil}, "nil"},
		"twice":            {[]Tool{ok, ok}, "two tools"},
		"empty name":       {[]Tool{scripted{name: ""}}, "name"},
		"space in name":    {[]Tool{scripted{name: "a b"}}, "name"},
		"newline at end":   {[]Tool{scripted{name: "a\n"}}, "name"},
		"letters":          {[]Tool{scripted{name: "ä"}}, "name"},
		"long name":        {[]Tool{scripted{name: strings.Repeat("a", 65)}}, "name"},
		"not JSON":         {[]Tool{scripted{name: "a", schema: "{"}}, "JSON Schema"},
		"not an object":    {[]Tool{scripted{name: "a", schema: `{"type":"string"}`}}, "object"},
		"boolean schema":   {[]Tool{scripted{name: "a", schema: `true`}}, "object"},
		"bad keyword":      {[]Tool{scripted{name: "a", schema: `{"type":"object","required":"x"}`}}, "JSON Schema"},
		"bad pattern":      {[]Tool{scripted{name: "a", schema: `{"type":"object","properties":{"x":{"pattern":"("}}}`}}, "JSON Schema"},
		"reads a file":     {[]Tool{scripted{name: "a", schema: `{"type":"object","$ref":"file:///etc/hostname"}`}}, "not allowed"},
		"reads a page":     {[]Tool{scripted{name: "a", schema: `{"type":"object","$ref":"http://127.0.0.1/x"}`}}, "not allowed"},
		"foreign dialect":  {[]Tool{scripted{name: "a", schema: `{"type":"object","$schema":"http://127.0.0.1/x"}`}}, "not allowed"},
		"64 letters, deep": {[]Tool{scripted{name: strings.Repeat("a", 64), schema: deep}}, ""},
	} {
		r, err := New(tt.tools...)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || r != nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	r, err := New(scripted{name: "b", call: answer("")}, scripted{name: "a", call: answer("")})
	if err != nil {
		t.Fatal(err)
	}
	names := r.Names()
	if !slices.Equal(names, []string{"b", "a"}) {
		t.Errorf("names %v", names)
	}
	names[0] = "changed"
	defs, err := r.Definitions("a", "b")
	if err != nil || len(defs) != 2 || defs[0].Name != "a" || defs[1].Name != "b" {
		t.Fatalf("%v, %v", defs, err)
	}
	copy(defs[0].Parameters, "XXXX")
	if again, err := r.Definitions(r.Names()...); err != nil || string(again[1].Parameters) != `{"type":"object"}` {
		t.Errorf("a caller changed the registry: %v, %v", again, err)
	}
	if none, err := r.Definitions(); err != nil || len(none) != 0 {
		t.Errorf("no names give %v, %v", none, err)
	}
	if _, err := r.Definitions("a", "zebra"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown name gives %v", err)
	}
	_, err = r.Get("zebra\n" + strings.Repeat("z", 1000))
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "b, a") || len(err.Error()) > 400 {
		t.Errorf("an unknown name gives %v", err)
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	const schema = `{"type":"object","additionalProperties":false,"required":["url"],"properties":{
		"url":{"type":"string","minLength":3,"maxLength":10,"pattern":"^[a-z]+$"},
		"limit":{"type":"integer","minimum":1,"maximum":5},
		"unit":{"enum":["c","f"]},
		"id":{"type":"string","format":"uuid"},
		"either":{"anyOf":[{"type":"string"},{"type":"object","required":["x"]}]},
		"list":{"type":"array","items":{"type":"object","properties":{"n":{"type":"number"}}}}}}`
	calls := 0
	tool := registered(t, Limits{}, scripted{name: "fetch", schema: schema, call: func(_ context.Context, a json.RawMessage) (string, error) {
		calls++
		return string(a), nil
	}})
	for name, tt := range map[string]struct {
		arguments string
		want      []string // parts of the detail; none: valid
	}{
		"valid":                {`{"url":"abc"}`, nil},
		"whole float":          {`{"url":"abc","limit":3.0}`, nil},
		"truncated":            {`{"url":"ab`, []string{"fetch", "not one JSON object"}},
		"two values":           {`{"url":"abc"}{}`, []string{"not one JSON object"}},
		"single quotes":        {`{'url':'abc'}`, []string{"not one JSON object"}},
		"nothing":              {``, []string{"url", "missing"}},
		"null":                 {`null`, []string{"null", "want object"}},
		"array":                {`["abc"]`, []string{"array", "want object"}},
		"missing and unknown":  {`{"uri":"abc"}`, []string{"missing", "url", "uri", "not allowed"}},
		"wrong case":           {`{"URL":"abc"}`, []string{"missing", "url"}},
		"name twice":           {`{"url":"abc","url":"abd"}`, []string{"fetch", "each name once"}},
		"name twice, escaped":  {`{"url":"abc","\u0075rl":"abd"}`, []string{"fetch", "each name once"}},
		"name twice in a list": {`{"url":"abc","list":[{"n":1,"n":2}]}`, []string{"fetch", "each name once"}},
		"wrong type":           {`{"url":5}`, []string{"url: got number, want string"}},
		"too long":             {`{"url":"abcdefghijk"}`, []string{"url", "11", "10"}},
		"pattern":              {`{"url":"ABC"}`, []string{"url", "pattern"}},
		"out of range":         {`{"url":"abc","limit":9}`, []string{"limit", "9", "5"}},
		"not whole":            {`{"url":"abc","limit":1.5}`, []string{"limit", "integer"}},
		"enum":                 {`{"url":"abc","unit":"k"}`, []string{"unit", "'c', 'f'"}},
		"format":               {`{"url":"abc","id":"x"}`, []string{"id", "uuid"}},
		"inside anyOf":         {`{"url":"abc","either":{}}`, []string{"either", "x"}},
		"inside a list":        {`{"url":"abc","list":[{},{"n":"1"}]}`, []string{"list.1.n: got string, want number"}},
		"huge exponent":        {`{"url":"abc","limit":1e999999999}`, []string{"out of range"}},
		"tiny":                 {`{"url":"abc","list":[{"n":1e-999999999}]}`, []string{"out of range"}},
		"nested huge exponent": {`{"url":"abc","list":[{"n":1e400}]}`, []string{"out of range"}},
		"too many bytes":       {`{"url":"` + strings.Repeat("a", maxArgumentBytes) + `"}`, []string{"at most"}},
		"deep":                 {strings.Repeat(`[`, 20000), []string{"not one JSON object"}},
	} {
		before := calls
		_, err := tool.Call(t.Context(), json.RawMessage(tt.arguments))
		if tt.want == nil {
			if err != nil || calls != before+1 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var invalid *fault.Error
		if !errors.As(err, &invalid) || invalid.Code != fault.Invalid || calls != before {
			t.Errorf("%s: %v (tool called: %v)", name, err, calls != before)
			continue
		}
		for _, part := range tt.want {
			if !strings.Contains(invalid.Detail, part) {
				t.Errorf("%s: detail %q lacks %q", name, invalid.Detail, part)
			}
		}
		if len(invalid.Detail) > 2500 || len(invalid.Fields) == 0 || invalid.Fields[0].Rule == "" {
			t.Errorf("%s: detail of %d bytes, fields %+v", name, len(invalid.Detail), invalid.Fields)
		}
	}
}

func TestManyComplaintsAreBounded(t *testing.T) {
	t.Parallel()
	tool := registered(t, Limits{}, scripted{
		name: "sum", schema: `{"type":"object","additionalProperties":{"type":"number"}}`, call: answer(""),
	})
	arguments := map[string]string{}
	for i := range 200 {
		arguments[fmt.Sprintf("%s\xff%d", strings.Repeat("k", 500), i)] = "text"
	}
	_, err := call(t, tool, arguments)
	var invalid *fault.Error
	if !errors.As(err, &invalid) || len(invalid.Fields) != maxComplaints || len(invalid.Detail) > 4000 ||
		!strings.Contains(invalid.Detail, "and 192 more") || !utf8.ValidString(invalid.Detail) {
		t.Errorf("%d bytes: %v", len(err.Error()), err)
	}
}

func TestResultsAreBoundedAndPrintable(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text, want string
	}{
		"short":         {"ok", "ok"},
		"empty":         {"", ""},
		"NUL":           {"a\x00b", "a\uFFFDb"},
		"invalid UTF-8": {"a\xff\xfeb", "a\uFFFDb"},
		"at the limit":  {strings.Repeat("x", 2000), strings.Repeat("x", 2000)},
	} {
		got, err := call(t, registered(t, Limits{MaxResultBytes: 2000}, scripted{name: "a", call: answer(tt.text)}), struct{}{})
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, letter := range []string{"x", "é", "語", "🙂", "\xff"} {
		text := "." + strings.Repeat(letter, 100_000)
		for _, limit := range []int{0, 1024, 1025, 1026, 1027} {
			got, err := call(t, registered(t, Limits{MaxResultBytes: limit}, scripted{name: "a", call: answer(text)}), struct{}{})
			if limit == 0 {
				limit = 64 << 10
			}
			ends := strings.HasSuffix(got, "bytes]") || letter == "\xff"
			if err != nil || len(got) > limit || !utf8.ValidString(got) || !ends || letter != "\xff" && len(got) < limit-4 {
				t.Errorf("%q cut at %d: %d bytes, %v", letter, limit, len(got), err)
			}
		}
	}
}

func TestFailuresAreContained(t *testing.T) {
	t.Parallel()
	own := fault.New(fault.Forbidden, "no")
	for name, tt := range map[string]struct {
		call func(context.Context, json.RawMessage) (string, error)
		code fault.Code
		part string
	}{
		"panic":       {func(context.Context, json.RawMessage) (string, error) { panic("boom") }, fault.Internal, "boom"},
		"index":       {func(_ context.Context, a json.RawMessage) (string, error) { return string(a[len(a):][0]), nil }, fault.Internal, "out of range"},
		"goexit":      {func(context.Context, json.RawMessage) (string, error) { runtime.Goexit(); return "", nil }, fault.Internal, "goroutine"},
		"plain error": {func(context.Context, json.RawMessage) (string, error) { return "", errors.New("secret") }, fault.Internal, "secret"},
		"own code":    {func(context.Context, json.RawMessage) (string, error) { return "", fmt.Errorf("wrapped: %w", own) }, fault.Forbidden, "no"},
	} {
		_, err := call(t, registered(t, Limits{}, scripted{name: "bad", call: tt.call}), struct{}{})
		var known *fault.Error
		if !errors.As(err, &known) || known.Code != tt.code || !strings.Contains(err.Error(), tt.part) {
			t.Errorf("%s: %v", name, err)
		}
		if known != nil && tt.code == fault.Internal && known.Detail != "the tool bad failed" {
			t.Errorf("%s: the detail tells %q", name, known.Detail)
		}
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		for name, f := range map[string]func(context.Context, json.RawMessage) (string, error){
			"obedient": func(ctx context.Context, _ json.RawMessage) (string, error) { <-ctx.Done(); return "", ctx.Err() },
			"deaf":     func(context.Context, json.RawMessage) (string, error) { <-release; return "late", nil },
		} {
			for _, limit := range []time.Duration{0, 3 * time.Second} {
				start := time.Now()
				_, err := call(t, registered(t, Limits{Timeout: limit}, scripted{name: "slow", call: f}), struct{}{})
				if limit == 0 {
					limit = 30 * time.Second
				}
				if took := time.Since(start); !fault.Is(err, fault.Timeout) || took != limit {
					t.Errorf("%s: %v after %v, want a timeout after %v", name, err, took, limit)
				}
			}
		}
		close(release)
	})
}

func TestCallerEndsTheCall(t *testing.T) {
	t.Parallel()
	wait := func(ctx context.Context, _ json.RawMessage) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	tool := registered(t, Limits{}, scripted{name: "slow", call: wait})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tool.Call(ctx, nil); !fault.Is(err, fault.Cancelled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := tool.Call(ctx, nil); !fault.Is(err, fault.Timeout) {
		t.Errorf("past the caller's deadline: %v", err)
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	t.Parallel()
	r, err := New(NewCalculator(), NewCurrentTime(time.Now))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			tool, err := r.Get("calculator")
			if err != nil {
				t.Error(err)
				return
			}
			got, err := tool.Call(t.Context(), json.RawMessage(fmt.Sprintf(`{"expression":"%d * 2"}`, i)))
			if err != nil || got != fmt.Sprint(i*2) {
				t.Errorf("%d: %q, %v", i, got, err)
			}
			if _, err := tool.Call(t.Context(), json.RawMessage(`{"expression":1}`)); !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
}
