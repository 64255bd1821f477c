package api

import (
	"bufio"
	"math/big"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/idempotency"
)

// FuzzPosition: a position is decimal digits that fit, whatever Last-Event-ID or after say.
func FuzzPosition(f *testing.F) {
	for _, text := range []string{"0", "1", "007", "", "-1", "+1", " 1", "1.5", "9223372036854775807", "9223372036854775808", "١", "1e3", "0x10", strings.Repeat("9", 400)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p Position
		err := p.UnmarshalText([]byte(text))
		want, good := new(big.Int), len(text) > 0 && strings.Trim(text, "0123456789") == ""
		if good {
			want, good = want.SetString(text, 10)
			good = good && want.IsInt64()
		}
		switch {
		case (err == nil) != good:
			t.Errorf("%q gives %d, %v", text, p, err)
		case good && int64(p) != want.Int64():
			t.Errorf("%q gives %d", text, p)
		}
	})
}

// FuzzKeyOnTheWire: a key that is one arrives as it was sent; two never pass for one.
func FuzzKeyOnTheWire(f *testing.F) {
	for _, key := range []string{"one", "a,b", `"x"`, "~!", strings.Repeat("k", 255), "a:b", "", " ", "a\tb", "ü", "a\r\nIdempotency-Key: b"} {
		f.Add(key, false)
		f.Add(key, true)
	}
	f.Fuzz(func(t *testing.T, key string, twice bool) {
		if idempotency.CheckKey(key) != nil {
			return
		}
		wire := "POST /v1/runs HTTP/1.1\r\nHost: x\r\nIdempotency-Key: " + key + "\r\n"
		if twice {
			wire += "idempotency-key: " + key + "\r\n"
		}
		var h fasthttp.RequestHeader
		if err := h.Read(bufio.NewReader(strings.NewReader(wire + "\r\n"))); err != nil {
			t.Fatalf("%q cannot be read: %v", key, err)
		}
		got, present := header(&h, headerIdempotencyKey)
		if !present || !twice && got != key || twice && idempotency.CheckKey(got) == nil {
			t.Errorf("%q (twice: %v) arrives as %q", key, twice, got)
		}
	})
}
