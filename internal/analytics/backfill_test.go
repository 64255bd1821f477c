package analytics_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/analytics"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// Runs that were there before analytics are counted like those that come after, once.
func TestRunsFromBeforeAreCounted(t *testing.T) {
	t.Parallel()
	d := pgtest.NewEmpty(t)
	all := pgtest.Migrations(t)
	before := 0
	for all[before].Name != "analytics" {
		before++
	}
	_, err := postgres.Migrate(t.Context(), d.URL, all[:before])
	must(t, err)
	w := &world{Service: analytics.NewService(d.DB, slog.New(slog.DiscardHandler)), database: d}
	x := w.tenant(t, "one")
	now := time.Now().Truncate(time.Millisecond)
	old := run{
		id: uuid.New(), agent: x.agents[0], created: now.Add(-time.Minute), started: now.Add(-time.Minute), finished: now, status: "completed",
		steps: []step{{n: 1, at: now, model: "small", in: 3, out: 2, cost: "0.1"}, {n: 2, at: now, in: 4, cost: "0", partial: true}},
	}
	must(t, x.whole(old))
	going := run{id: uuid.New(), agent: x.agents[0], created: now, started: now, finished: now, status: "failed", code: "timeout", steps: []step{{n: 1, at: now, model: "small", in: 1, cost: "0"}}}
	must(t, x.create(going))
	must(t, x.start(going))
	must(t, x.take(going, going.steps[0]))
	_, err = postgres.Migrate(t.Context(), d.URL, all)
	must(t, err)
	check := func(completed, failed, tokens int64) {
		t.Helper()
		u, err := x.Usage(x.ctx, analytics.Query{})
		must(t, err)
		r, err := x.Runs(x.ctx, analytics.Query{})
		must(t, err)
		if u.Totals.InputTokens != tokens || r.Totals.Created != 2 || r.Totals.Started != 2 || r.Totals.Completed != completed || r.Totals.Failed != failed {
			t.Errorf("%+v, %+v", u.Totals, r.Totals)
		}
	}
	check(1, 0, 8)
	must(t, w.Roll(x.ctx))
	check(1, 0, 8)
	must(t, x.end(going))
	check(1, 1, 8)
	must(t, w.Roll(x.ctx))
	check(1, 1, 8)
}
