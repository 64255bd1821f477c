package audit_test

import (
	"testing"

	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// BenchmarkAppend is what an inline connector waits for: one entry at a time, each durable when it returns.
func BenchmarkAppend(b *testing.B) {
	db := pgtest.New(b)
	s, _ := open(b, db.DB)
	ctx, _ := db.Tenant(b, "acme")
	for n := 0; b.Loop(); n++ {
		if err := s.Append(ctx, entry(n)); err != nil {
			b.Fatal(err)
		}
	}
}
