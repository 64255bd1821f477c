package tenants

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// FuzzSlug: a slug stands in paths, host names and file names as it is, and is never taken for an id.
func FuzzSlug(f *testing.F) {
	for _, slug := range []string{"acme", "a", "-a", "a-", "A", "a_b", "a.b", "ä", "a\n", "", "a/b", "0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f", "0197a7c85c4e7d3a9f103b2a1c0d9e8f", strings.Repeat("a", 63), strings.Repeat("a", 64)} {
		f.Add(slug)
	}
	f.Fuzz(func(t *testing.T, slug string) {
		made, err := NewTenant{Slug: slug}.build(now())
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", slug, err)
			}
			return
		}
		if made.Slug != slug || len(slug) < 1 || len(slug) > 63 || slug[0] == '-' || strings.Trim(slug, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%q is taken", slug)
		}
		if _, err := uuid.Parse(slug); err == nil {
			t.Errorf("%q is an id", slug)
		}
	})
}
