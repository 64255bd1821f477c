package idempotency_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/fault"
)

var goodKey = regexp.MustCompile(`^[!-~]{1,255}\z`)

// FuzzCheckKey: a key is what the API's description says of it.
func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"", "one", "a b", "a\n", "\x7f", "~", "!", "ü", "\x00", strings.Repeat("k", 255), strings.Repeat("k", 256)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		err := idempotency.CheckKey(key)
		if (err == nil) != goodKey.MatchString(key) || err != nil && !fault.Is(err, fault.Malformed) {
			t.Errorf("%q: %v", key, err)
		}
	})
}
