package analytics_test

import (
	"context"
	"flag"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/analytics"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/tests/seed"
)

var figures = flag.Bool("figures", false, "measure with a million runs")

// explain gives the plans of what a question asks the database, run as the tenant.
func (w *world) explain(ctx context.Context, t *testing.T, kind analytics.Kind, q analytics.Query) (plans []string) {
	t.Helper()
	statements, err := analytics.Statements(kind, q)
	must(t, err)
	for _, s := range statements {
		lines, err := postgres.All(ctx, w.database.DB, "explain (analyze, buffers, timing off) "+s.SQL, s.Args, pgx.RowTo[string])
		must(t, err)
		plans = append(plans, strings.Join(lines, "\n"))
	}
	return plans
}

// history fills the database and rolls its facts up.
func (w *world) history(t *testing.T, h seed.History) (context.Context, []uuid.UUID) {
	t.Helper()
	began := time.Now()
	tenants := seed.Fill(t, w.database, h)
	filled := time.Since(began)
	ctx := scope.With(t.Context(), scope.Scope{Tenant: tenants[0], Actor: "test"})
	facts := w.pending(t)
	began = time.Now()
	must(t, w.Roll(ctx))
	rolled := time.Since(began)
	_, err := w.database.Conn(t).Exec(t.Context(), `vacuum analyze`)
	must(t, err)
	t.Logf("%d runs of %d tenants in %v; %d facts rolled up in %v (%.0f/s)", h.Runs, h.Tenants, filled.Round(time.Millisecond), facts,
		rolled.Round(time.Millisecond), float64(facts)/rolled.Seconds())
	return ctx, tenants
}

var (
	walksAll = regexp.MustCompile(`Seq Scan on (agent_runs|run_steps|analytics_usage|analytics_runs|analytics_latency)\b`)
	took     = regexp.MustCompile(`Execution Time: ([0-9.]+) ms`)
)

// month is the question of the promise: a month by day, for each agent.
func month() analytics.Query {
	return analytics.Query{Last: "30d", Bucket: analytics.Day, TimeZone: "Europe/Berlin", GroupBy: []analytics.Dimension{analytics.ByAgent}}
}

func indexes() map[analytics.Kind]string {
	return map[analytics.Kind]string{
		analytics.KindUsage: "analytics_usage_pkey", analytics.KindRuns: "analytics_runs_pkey", analytics.KindLatency: "analytics_latency_pkey",
	}
}

// Answers over many runs read rollups by their key, and never walk through runs or steps.
func TestAnswersWalkTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, _ := w.history(t, seed.History{Tenants: 50, Runs: 10_000, Days: 30, Until: time.Now()})
	for kind, index := range indexes() {
		for name, q := range map[string]analytics.Query{
			"a month by agent": month(), "a day": {}, "an agent": {Last: "30d", AgentID: ptr(uuid.New())}, "a year": {Bucket: analytics.Month},
		} {
			plans := w.explain(ctx, t, kind, q)
			if found := walksAll.FindString(strings.Join(plans, "\n")); found != "" || !strings.Contains(plans[0], index+" on ") {
				t.Errorf("%s, %s: %q, and %s is used: %v\n%s", kind, name, found, index, strings.Contains(plans[0], index), strings.Join(plans, "\n\n"))
			}
		}
	}
}

// A month by day and agent of the tenant with a hundred thousand runs of a million takes each statement less than
// 50 ms; the fastest of some counts, since other programs take their share of the machine.
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("measured with -figures")
	}
	w := newWorld(t)
	ctx, _ := w.history(t, seed.History{Tenants: 1000, Runs: 1_000_000, Days: 30, Until: time.Now()})
	for kind := range indexes() {
		var times [2][]float64 // of each statement
		var plans []string
		for range 9 {
			plans = w.explain(ctx, t, kind, month())
			for i, plan := range plans {
				ms, err := strconv.ParseFloat(took.FindStringSubmatch(plan)[1], 64)
				must(t, err)
				times[i] = append(times[i], ms)
			}
		}
		for i, plan := range plans {
			slices.Sort(times[i])
			t.Logf("%s, a month by day and agent, statement %d: %.1f to %.1f ms, half of them below %.1f\n%s", kind, i+1, times[i][0], times[i][8], times[i][4], plan)
			if times[i][0] > 50 {
				t.Errorf("%s, statement %d: %.1f ms at best", kind, i+1, times[i][0])
			}
		}
	}
}
