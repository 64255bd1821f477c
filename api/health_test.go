package api

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	ok := Check{Name: "postgres", Run: func(context.Context) error { return nil }}
	broken := Check{Name: "temporal", Run: func(context.Context) error {
		return fault.Wrap(errors.New("dial 10.0.0.1"), fault.Unavailable, "Temporal cannot be reached.")
	}}
	r := start(t, nil, func(d *Deps) { d.Checks = []Check{ok} })
	if a := r.do(t, request{method: "GET", path: "/healthz"}); a.status != 200 || a.body != `{"status":"alive"}`+"\n" {
		t.Errorf("answer %+v", a)
	}
	if a := r.do(t, request{method: "GET", path: "/readyz"}); a.status != 200 || a.body != `{"status":"ready","checks":[{"name":"postgres","ok":true}]}`+"\n" {
		t.Errorf("answer %+v", a)
	}
	r = start(t, nil, func(d *Deps) { d.Checks = []Check{ok, broken} })
	a := r.do(t, request{method: "GET", path: "/readyz"})
	if a.status != 503 || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "10.0.0.1") || !strings.Contains(a.body,
		`{"status":"unavailable","checks":[{"name":"postgres","ok":true},{"name":"temporal","ok":false,"detail":"Temporal cannot be reached."}]}`) {
		t.Errorf("answer %+v", a)
	}
}

func TestChecksRunTogetherAndInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		slow := func(d time.Duration) func(context.Context) error {
			return func(ctx context.Context) error {
				select {
				case <-time.After(d):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		got := runChecks(t.Context(), []Check{
			{Name: "a", Run: slow(time.Second)},
			{Name: "b", Run: slow(time.Hour)},
			{Name: "c", Timeout: 100 * time.Millisecond, Run: slow(time.Second)},
			{Name: "d", Run: func(context.Context) error { panic("boom") }},
		}, slog.New(slog.DiscardHandler))
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("it took %v, want the longest timeout", took)
		}
		var ok []bool
		for _, c := range got.Checks {
			ok = append(ok, c.OK)
		}
		if got.Status != "unavailable" || !ok[0] || ok[1] || ok[2] || ok[3] {
			t.Errorf("got %+v", got)
		}
	})
}
