package page_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
)

func TestStart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		request page.Request
		limit   int
		code    fault.Code
	}{
		"nothing asked":  {page.Request{}, page.DefaultLimit, ""},
		"one":            {page.Request{Limit: 1}, 1, ""},
		"the most":       {page.Request{Limit: page.MaxLimit}, page.MaxLimit, ""},
		"one too many":   {page.Request{Limit: page.MaxLimit + 1}, 0, fault.Invalid},
		"negative":       {page.Request{Limit: -1}, 0, fault.Invalid},
		"garbage cursor": {page.Request{Cursor: "!"}, 0, fault.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit, _, err := tc.request.Start()
			if fault.CodeOf(err) != tc.code {
				t.Fatalf("error %v, want the code %q", err, tc.code)
			}
			if err == nil && limit != tc.limit {
				t.Fatalf("limit %d, want %d", limit, tc.limit)
			}
		})
	}
}

func TestCursorsThatNobodyGaveOutAreMalformed(t *testing.T) {
	t.Parallel()
	raw := base64.RawURLEncoding.EncodeToString
	for name, cursor := range map[string]string{
		"not base64url":       "a+b/",
		"padded":              base64.URLEncoding.EncodeToString([]byte("1234")),
		"a line break":        raw([]byte("abc")) + "\n",
		"one character":       "a",
		"not canonical":       "YR", // decodes to "a" when not strict; "a" is YQ
		"control characters":  raw([]byte("a\x00b")),
		"not UTF-8":           raw([]byte{0xff, 0xfe, 0xfd}),
		"10 kB":               strings.Repeat("A", 10<<10),
		"10 kB of good text":  raw([]byte(strings.Repeat("a", 10<<10))),
		"one over the bounds": raw([]byte(strings.Repeat("a", 193))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if key, err := page.Decode(cursor); !fault.Is(err, fault.Malformed) {
				t.Fatalf("decoded to %q, error %v; want malformed", key, err)
			}
		})
	}
}

func TestStartBefore(t *testing.T) {
	t.Parallel()
	if _, before, err := (page.Request{}).StartBefore(); err != nil || before != uuid.Max {
		t.Fatalf("the first page begins below %v (error %v), want the highest id", before, err)
	}
	id := uuid.Must(uuid.NewV7())
	if _, before, err := (page.Request{Cursor: page.Encode(id.String())}).StartBefore(); err != nil || before != id {
		t.Fatalf("before %v, error %v; want %v", before, err, id)
	}
	for name, key := range map[string]string{
		"a number": "12", "upper case": strings.ToUpper(id.String()), "braces": "{" + id.String() + "}",
		"urn": id.URN(), "SQL": "' or 1=1 --",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := (page.Request{Cursor: page.Encode(key)}).StartBefore(); !fault.Is(err, fault.Malformed) {
				t.Fatalf("error %v, want malformed", err)
			}
		})
	}
}

func TestStartNumber(t *testing.T) {
	t.Parallel()
	if _, n, err := (page.Request{}).StartNumber(); n != 0 || err != nil {
		t.Fatalf("the first page begins at %d, error %v", n, err)
	}
	for key, want := range map[string]int{"1": 1, "2147483647": 2147483647} {
		if _, n, err := (page.Request{Cursor: page.Encode(key)}).StartNumber(); n != want || err != nil {
			t.Errorf("%s was read as %d, error %v", key, n, err)
		}
	}
	for _, key := range []string{"0", "-1", "+1", "01", "1.5", "x", "2147483648", "99999999999999999999"} {
		if _, _, err := (page.Request{Cursor: page.Encode(key)}).StartNumber(); !fault.Is(err, fault.Malformed) {
			t.Errorf("%s: error %v, want malformed", key, err)
		}
	}
}

func TestCursorsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[ -~]{1,192}`).Draw(t, "key")
		got, err := page.Decode(page.Encode(key))
		if err != nil || got != key {
			t.Fatalf("%q came back as %q, error %v", key, got, err)
		}
	})
}

// A walk over pages of any size meets every item once, in order, and ends.
func TestWalk(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(0, 30).Draw(t, "total")
		limit := rapid.IntRange(1, 10).Draw(t, "limit")
		list := func(after string) []string {
			var items []string
			for i := range total {
				if key := string(rune('A' + i)); key > after && len(items) < limit+1 {
					items = append(items, key)
				}
			}
			return items
		}
		var seen []string
		request := page.Request{Limit: limit}
		for range total + 2 {
			n, after, err := request.Start()
			if err != nil {
				t.Fatal(err)
			}
			p := page.Of(list(after), n, func(s string) string { return s })
			if seen = append(seen, p.Items...); p.NextCursor == nil {
				break
			}
			if len(p.Items) != limit {
				t.Fatalf("a page of %d items is not the last, the limit is %d", len(p.Items), limit)
			}
			request.Cursor = *p.NextCursor
		}
		if len(seen) != total {
			t.Fatalf("met %v of %d items", seen, total)
		}
		for i, key := range seen {
			if key != string(rune('A'+i)) {
				t.Fatalf("met %v: out of order at %d", seen, i)
			}
		}
	})
}

func TestJSON(t *testing.T) {
	t.Parallel()
	empty := page.Of[int](nil, 2, func(int) string { return "x" })
	full := page.Map(page.Of([]int{1, 2, 3}, 2, func(int) string { return "abc" }), func(i int) int { return i * 10 })
	for want, p := range map[string]page.Page[int]{
		`{"items":[],"next_cursor":null}`:        empty,
		`{"items":[10,20],"next_cursor":"YWJj"}`: full,
	} {
		if got, err := json.Marshal(p); err != nil || string(got) != want {
			t.Errorf("%s, error %v; want %s", got, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("")
	f.Add("YWJj")
	f.Add(strings.Repeat("A", 300))
	f.Fuzz(func(t *testing.T, cursor string) {
		key, err := page.Decode(cursor)
		switch {
		case err != nil && !fault.Is(err, fault.Malformed):
			t.Fatalf("error %v is not malformed", err)
		case err == nil && page.Encode(key) != cursor:
			t.Fatalf("%q and %q are cursors of one key", cursor, page.Encode(key))
		}
	})
}

func TestNumberAndTimeCursorsReadWhatTheyWrote(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n")
		if got, err := page.DecodeNumber(page.EncodeNumber(n)); err != nil || got != n {
			t.Fatalf("%d becomes %d, %v", n, got, err)
		}
		at := time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, "at")).UTC()
		if got, err := page.DecodeTime(page.EncodeTime(at)); err != nil || !got.Equal(at) {
			t.Fatalf("%s becomes %s, %v", at, got, err)
		}
	})
	for _, cursor := range []string{"!", page.Encode("x"), page.Encode("-1"), page.Encode("01"), page.Encode("9223372036854775808"), page.Encode("253402300800000")} {
		if _, err := page.DecodeTime(cursor); !fault.Is(err, fault.Malformed) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}
