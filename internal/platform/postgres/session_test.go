package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

func TestCheckSession_FindsWhatIsInBetween(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	elsewhere := pgtest.New(t)
	pooled := pgtest.StartBouncer(t, d.URL)
	for name, c := range map[string]struct {
		direct, url string
		want        error
	}{
		"one address":               {d.URL, d.URL, nil},
		"a pooler for the pool":     {d.URL, pooled, nil},
		"a pooler for both":         {pooled, pooled, postgres.ErrTransactionPooler},
		"a pooler for the sessions": {pooled, d.URL, postgres.ErrTransactionPooler},
	} {
		for range 3 { // whichever server the pooler hands out
			if err := postgres.CheckSession(t.Context(), c.direct, c.url); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%s: error %v, want %v", name, err, c.want)
			}
		}
	}
	if err := postgres.CheckSession(t.Context(), elsewhere.URL, d.URL); !errors.Is(err, postgres.ErrOtherDatabase) {
		t.Errorf("two databases: error %v", err)
	}
	err := postgres.CheckSession(t.Context(), "postgres://nobody@127.0.0.1:1/none?sslmode=disable", d.URL)
	wantCode(t, err, fault.Unavailable)
}

// A probe comes back while the listener hears, and says what may be wrong when it does not.
func TestProbe_ComesBackWhileTheListenerHears(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	elsewhere := pgtest.New(t)
	listen := func(url string) *postgres.Probe {
		p, connected := postgres.NewProbe(), make(chan struct{}, 8)
		l := postgres.Listener{
			URL: url, Channel: "notes", Probe: p, Log: slog.New(slog.DiscardHandler), Disconnected: func() {},
			Connected: func() { connected <- struct{}{} }, Notified: func(payload string) { t.Errorf("the channel heard %q", payload) },
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); l.Run(ctx) }()
		t.Cleanup(func() { stop(); <-ended })
		<-connected
		return p
	}
	p := listen(d.URL)
	for range 3 {
		if err := p.RoundTrip(t.Context(), d.DB); err != nil {
			t.Error(err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	wantCode(t, listen(elsewhere.URL).RoundTrip(ctx, d.DB), fault.Unavailable)
}

func TestCheckTenant_SeesRoleAndClaims(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	if err := d.DB.CheckTenant(t.Context()); err != nil {
		t.Error(err)
	}
	pooled := d.Open(t, postgres.Config{URL: pgtest.StartBouncer(t, d.URL), Pooled: true})
	if err := pooled.CheckTenant(t.Context()); err != nil {
		t.Errorf("through a pooler: %v", err)
	}
	run(t, d.Conn(t), `create or replace function lari.tenant_id() returns uuid language sql stable as $$ select null::uuid $$`)
	wantCode(t, d.DB.CheckTenant(t.Context()), fault.Unavailable)
	empty := pgtest.NewEmpty(t)
	if err := empty.Open(t, postgres.Config{}).CheckTenant(t.Context()); err == nil {
		t.Error("a database without migrations has tenants")
	}
}
