package auth_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"regexp"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

func newKey(tb testing.TB) (plain, id string, hash []byte) {
	tb.Helper()
	plain, id, hash, err := auth.NewKey()
	if err != nil {
		tb.Fatal(err)
	}
	return plain, id, hash
}

func TestNewKeyCanBeParsed(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^lari_[0-9A-Za-z]{12}_[0-9A-Za-z]{46}$`)
	seen := map[string]bool{}
	for range 200 {
		plain, id, hash := newKey(t)
		if !form.MatchString(plain) || seen[id] {
			t.Fatalf("key of %d characters, id seen before: %v", len(plain), seen[id])
		}
		seen[id] = true
		gotID, gotHash, err := auth.ParseKey(plain)
		if err != nil || gotID != id || !bytes.Equal(gotHash, hash) {
			t.Fatalf("parsed %q, same hash %v, error %v", gotID, bytes.Equal(gotHash, hash), err)
		}
		want := sha256.Sum256([]byte(plain[18:58]))
		if !bytes.Equal(hash, want[:]) {
			t.Fatal("the hash is not SHA-256 of the secret part")
		}
	}
}

// One wrong character anywhere is noticed without a store.
func TestParseKeyRefusesEveryTypo(t *testing.T) {
	t.Parallel()
	plain, _, _ := newKey(t)
	for i := range len(plain) {
		for _, c := range []byte("0Az_- ") {
			if plain[i] == c {
				continue
			}
			typo := plain[:i] + string(c) + plain[i+1:]
			id, hash, err := auth.ParseKey(typo)
			if id != "" || hash != nil {
				t.Fatalf("position %d: parsed all the same", i)
			}
			wantFault(t, err, fault.Unauthenticated, "")
			wantNoEcho(t, err, typo)
		}
	}
}

func TestParseKeyRefusesOtherForms(t *testing.T) {
	t.Parallel()
	plain, id, _ := newKey(t)
	const form = "the API key is not of the form lari_<12 characters>_<46 characters>"
	for name, key := range map[string]string{
		"empty":            "",
		"prefix only":      "lari_",
		"cut off":          plain[:len(plain)-1],
		"one too many":     plain + "0",
		"another prefix":   "ghp__" + plain[5:],
		"upper-case":       "LARI_" + plain[5:],
		"leading space":    " " + plain,
		"without its id":   strings.Replace(plain, id, "", 1),
		"64 bytes of zero": strings.Repeat("\x00", 64),
		"a megabyte":       "lari_" + strings.Repeat("a", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := auth.ParseKey(key)
			wantFault(t, err, fault.Unauthenticated, form)
		})
	}
}

// The checksum is no secret, so whoever writes one that holds has proved nothing about the rest.
func TestParseKeyRefusesOtherAlphabets(t *testing.T) {
	t.Parallel()
	id, secretPart := strings.Repeat("a", 12), strings.Repeat("b", 40)
	if _, _, err := auth.ParseKey(withChecksum("lari_" + id + "_" + secretPart)); err != nil {
		t.Fatalf("the checksum of this test is not that of the package: %v", err)
	}
	for _, body := range []string{
		"lari_" + "a-aaaaaaaaaa" + "_" + secretPart,
		"lari_" + id + "_" + "b%" + secretPart[2:],
		"lari_" + id + "_" + "_" + secretPart[1:],
		"lari_" + id + "a" + secretPart[1:] + "_",
		"lari_" + id + "aa" + secretPart[1:],
	} {
		_, _, err := auth.ParseKey(withChecksum(body))
		wantFault(t, err, fault.Unauthenticated, "the API key is mistyped: its checksum does not hold")
	}
}

// withChecksum appends the CRC-32 in six base62 digits.
func withChecksum(body string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	rest, out := crc32.ChecksumIEEE([]byte(body)), ""
	for range 6 {
		out = string(digits[rest%62]) + out
		rest /= 62
	}
	return body + out
}

// Characters are drawn evenly: 62 values over 40,000 draws stay near 645 each.
func TestNewKeyIsUnbiased(t *testing.T) {
	t.Parallel()
	counts := map[byte]int{}
	for range 1000 {
		plain, _, _ := newKey(t)
		for _, c := range []byte(plain[18:58]) {
			counts[c]++
		}
	}
	if len(counts) != 62 {
		t.Fatalf("%d characters, want 62", len(counts))
	}
	for c, n := range counts { // ±6 standard deviations; drawing with b%62 would put 0-7 at 781
		if n < 494 || n > 796 {
			t.Errorf("%q drawn %d times", c, n)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	plain, _, _ := newKey(f)
	for _, key := range []string{plain, "", "lari_", "lari_" + strings.Repeat("_", 59), plain[:63] + "\xff", strings.ToUpper(plain)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		id, hash, err := auth.ParseKey(key)
		if err != nil {
			var fe *fault.Error
			if !errors.As(err, &fe) || fe.Code != fault.Unauthenticated || id != "" || hash != nil {
				t.Fatalf("id %q, error %v", id, err)
			}
			return
		}
		if len(id) != 12 || len(hash) != sha256.Size || !strings.HasPrefix(key, "lari_"+id+"_") {
			t.Fatalf("id %q of %q", id, key)
		}
	})
}
