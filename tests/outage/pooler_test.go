package outage

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/tests/harness"
)

// A process behind a transaction pooler works, streams included, when it has a direct connection beside it; without
// one it does not start, and says which setting is to be changed.
func TestPooler_NeedsADirectConnectionBesideIt(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	pooled := config.NewURL(pgtest.StartBouncer(t, s.Database.URL))
	for name, c := range map[string]struct {
		database, direct config.URL
		setting          string
	}{
		"no direct connection": {pooled, pooled, "Set DATABASE_DIRECT_URL"},
		"a pooled direct one":  {s.Config.DatabaseURL, pooled, "DATABASE_DIRECT_URL cannot be used"},
	} {
		cfg := s.Config
		cfg.DatabaseURL, cfg.DatabaseDirectURL = c.database, c.direct
		a, err := app.New(t.Context(), cfg, harness.All, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		err = a.Run(t.Context(), func(string) { t.Errorf("%s: it accepts requests", name) })
		a.Close()
		if err == nil || !strings.Contains(err.Error(), c.setting) {
			t.Errorf("%s: it ended with %v", name, err)
		}
	}
	cfg := s.Config
	cfg.DatabaseURL = pooled
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	wantReadiness(t, x, 200, "")
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			events := x.OpenRun(t, `{"input": "hello"}`).Rest(t)
			if events[len(events)-1].Type != event.RunCompleted {
				t.Errorf("a run ended with %v", harness.Types(events))
			}
		})
	}
	all.Wait()
}

// Readiness tries what it speaks of: without the session that hears notifications a process is not ready.
func TestReadiness_TriesANotification(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	behind, direct, _ := s.Behind(t)
	cfg := s.Config
	cfg.DatabaseDirectURL = behind.DatabaseDirectURL // only the sessions lead through the proxy
	p := s.StartWith(t, cfg, app.Options{API: true})
	nobody := p.Nobody(t)
	wantReadiness(t, nobody, 200, "")
	direct.Stall()
	wantReadiness(t, nobody, 503, "postgres")
	direct.Heal(t)
	wantReadiness(t, nobody, 200, "")
}
