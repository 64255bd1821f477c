package storable_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/larirun/lari/internal/platform/storable"
)

func TestText_ReplacesWhatPostgresRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":             "",
		"plain é 😀":    "plain é 😀",
		"a\x00b":       "a\uFFFDb",
		"a\xff\xfeb":   "a\uFFFDb",
		"\xed\xa0\x80": "\uFFFD", // a surrogate in UTF-8
		"tab\tline\n":  "tab\tline\n",
	} {
		if got := storable.Text(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestClip_CutsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for limit := 5; limit < 30; limit++ {
		got := storable.Clip("ä\x00ö😀 and more, "+strings.Repeat("é", limit), limit)
		if len(got) > limit || !utf8.ValidString(got) || !strings.HasSuffix(got, " …") {
			t.Errorf("limit %d gives %d bytes: %q", limit, len(got), got)
		}
	}
	if got := storable.Clip("short\x00", 10); got != "short\uFFFD" {
		t.Errorf("a short text becomes %q", got)
	}
	if got := storable.Clip("aaaaaaaa\x00\x00", 10); len(got) > 10 || !utf8.ValidString(got) {
		t.Errorf("a text that grows by its replacements becomes %q", got)
	}
}

func TestCheckJSON_SaysWhatCannotBeKept(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"expression":"1\u0000"}`:                        "U+0000",
		`{"a\u0000":1}`:                                   "U+0000",
		`{"expression":"1\ud83d"}`:                        "surrogate",
		`["\ude00\ud83d"]`:                                "surrogate",
		`["\ud83d\n"]`:                                    "surrogate",
		`{"n":1e999999}`:                                  "out of range",
		`[-1e-999999]`:                                    "out of range",
		`0e-999999`:                                       "out of range",
		`[0.` + strings.Repeat("0", 2e4) + `]`:            "out of range",
		`[1.` + strings.Repeat("0", 2e4) + `]`:            "out of range",
		strings.Repeat("[", 65) + strings.Repeat("]", 65): "deeper",
		`{"a":`:      "not JSON",
		"[\"\xff\"]": "UTF-8",
	} {
		err := storable.CheckJSON([]byte(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s gives %v, want %q", in, err, want)
		}
	}
	for _, in := range []string{
		`{}`, `null`, `"\\u0000"`, `"\\\\ud83d"`, `["\ud83d\ude00","\uD83D\uDE00"]`, `1e308`, `-0`, `0e5`, `5e-324`, `9007199254740993`,
		strings.Repeat("9", 300), strings.Repeat("[", 64) + strings.Repeat("]", 64), `{"a":{"b":[1,-2.5e+3,"\n\"\u00e9"]}}`,
	} {
		if err := storable.CheckJSON([]byte(in)); err != nil {
			t.Errorf("%.60s gives %v", in, err)
		}
	}
}

func TestJSON_ReplacesWhatCannotBeKept(t *testing.T) {
	t.Parallel()
	deep := func(n int, inner string) string { return strings.Repeat("[", n) + inner + strings.Repeat("]", n) }
	for in, want := range map[string]string{
		`{"a":"1\u0000","b":2}`:       `{"a":"1\ufffd","b":2}`,
		`["\ud83d","\ude00x"]`:        `["\ufffd","\ufffdx"]`,
		`{"n":1e999999,"m":0e-99999}`: `{"n":"1e999999","m":"0e-99999"}`,
		`{"ok":"\ud83d\ude00"}`:       `{"ok":"\ud83d\ude00"}`,
		"[\"\xff\"]":                  "[\"\uFFFD\"]",
		`{"broken":`:                  `"{\"broken\":"`,
		"\x00":                        `"` + "\uFFFD" + `"`,
		deep(90, `"\u0000",1e999`):    deep(80, "null"),
		deep(80, `"\u0000"`):          deep(80, `"\ufffd"`),
	} {
		if got := string(storable.JSON([]byte(in))); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestMarshal_KeepsAValueWithForeignContent(t *testing.T) {
	t.Parallel()
	got, err := storable.Marshal(map[string]any{"text": "a\x00b\xff", "raw": json.RawMessage(`["\udead",1e400]`)})
	if want := `{"raw":["\ufffd","1e400"],"text":"a\ufffdb\ufffd"}`; err != nil || string(got) != want {
		t.Errorf("got %s (error %v), want %s", got, err, want)
	}
	if _, err := storable.Marshal(func() {}); err == nil {
		t.Error("a function was encoded")
	}
}
