package ratelimit_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/ratelimit"
)

func limiter(g ratelimit.Grant) *ratelimit.Limiter {
	return ratelimit.New(func(context.Context, uuid.UUID, int) (ratelimit.Grant, error) { return g, nil }, 0, time.Now, slog.New(slog.DiscardHandler))
}

// The path of most requests: 200 ns at most, and nothing allocated.
func BenchmarkUnlimited(b *testing.B) {
	l, tenant := limiter(ratelimit.Grant{}), uuid.New()
	b.ReportAllocs()
	for b.Loop() {
		l.Take(b.Context(), tenant)
	}
}

func BenchmarkUnlimitedParallel(b *testing.B) {
	l, tenant := limiter(ratelimit.Grant{}), uuid.New()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Take(b.Context(), tenant)
		}
	})
}

func BenchmarkRefused(b *testing.B) {
	l, tenant := limiter(ratelimit.Grant{Limit: 1, Burst: 1, Every: time.Minute, NextIn: time.Minute}), uuid.New()
	b.ReportAllocs()
	for b.Loop() {
		l.Take(b.Context(), tenant)
	}
}

func TestTheCommonPathsAllocateNothing(t *testing.T) { // alone: what others allocate would be counted too
	for name, g := range map[string]ratelimit.Grant{
		"no limit": {},
		"refused":  {Limit: 1, Burst: 1, Every: time.Minute, NextIn: time.Minute},
		"leased":   {Limit: 1_000_000, Granted: 1_000_000, Burst: 1_000_000, Every: time.Nanosecond},
	} {
		l, tenant, ctx := limiter(g), uuid.New(), t.Context()
		for range 2 {
			l.Take(ctx, tenant)
		}
		if n := testing.AllocsPerRun(100, func() { l.Take(ctx, tenant) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
