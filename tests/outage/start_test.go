package outage

import (
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
)

// TestStartInTheDark starts a process while what it needs is away: it says so and recovers by itself.
func TestStartInTheDark(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		database, temporal bool // is away
		missing            string
	}{
		"postgres": {true, false, "postgres migrations"},
		"temporal": {false, true, "temporal"},
		"both":     {true, true, "postgres migrations temporal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.NewSystem(t)
			cfg, database, temporal := s.Behind(t)
			if c.database {
				database.Cut()
			}
			if c.temporal {
				temporal.Cut()
			}
			p := s.Launch(t, cfg, harness.All)
			nobody := p.Nobody(t)
			nobody.Do(t, "GET", "/healthz", nil).Want(t, 200)
			wantReadiness(t, nobody, 503, c.missing)
			database.Heal(t)
			temporal.Heal(t)
			wantReadiness(t, nobody, 200, "")
			x := p.NewTenant(t, agents.Config{})
			harness.WantWhole(t, x.Follow(t, x.StartRun(t, `{"input": "hello"}`).ID, 0).Rest(t))
		})
	}
}

func TestMigrationsMissing(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg := s.Config
	empty := pgtest.NewEmpty(t)
	cfg.DatabaseURL, cfg.DatabaseDirectURL = config.NewURL(empty.URL), config.NewURL(empty.URL)
	p := s.Launch(t, cfg, app.Options{API: true})
	x := p.Nobody(t)
	wantReadiness(t, x, 503, "migrations")
}

// TestStopWithoutTemporal stops a process whose Temporal does not answer, with a stream open.
func TestStopWithoutTemporal(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*harness.Proxy){"cut": (*harness.Proxy).Cut, "stalled": (*harness.Proxy).Stall} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.NewSystem(t, gated)
			cfg, _, temporal := s.Behind(t)
			p := s.StartWith(t, cfg, harness.All)
			x := p.NewTenant(t, agents.Config{})
			x.Follow(t, x.StartRun(t, `{"input": "count slowly"}`).ID, 0).Until(t, "run_started")
			breakIt(temporal)
			began := pace.Start(t)
			if err := p.Stop(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			if took := began.Took(); took > 15*time.Second {
				t.Errorf("it took %s to stop", took)
			}
		})
	}
}
