package integration

import (
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// valueOf adds up the series of a metric that have all the labels, in the processes together; of a histogram its count.
func valueOf(t testing.TB, name string, labels prometheus.Labels, processes ...*harness.Process) (sum float64) {
	t.Helper()
	for _, p := range processes {
		families, err := p.App.Metrics.Registry().Gather()
		must(t, err)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				matching := 0
				for _, l := range m.GetLabel() {
					if labels[l.GetName()] == l.GetValue() {
						matching++
					}
				}
				if f.GetName() == name && matching == len(labels) {
					sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
	}
	return sum
}

// Firings are counted by what became of them, each once, also those that only Temporal knows of, whichever processes look
// and however often; and the lag is that of firings whose time came.
func TestFiringsAreMetered(t *testing.T) {
	t.Parallel()
	s, p, x := scheduling(t, fakellm.Rule{Reply: fakellm.Reply{Text: "It never", HangAfter: 1}})
	other := s.Start(t, app.Options{API: true})
	of := func(name string, labels ...string) float64 {
		all := prometheus.Labels{"tenant_id": x.ID.String()}
		for i := 0; i < len(labels); i += 2 {
			all[labels[i]] = labels[i+1]
		}
		return valueOf(t, name, all, p, other)
	}
	const counter, lag = "lari_schedule_firings_total", "lari_schedule_firing_lag_seconds"

	skipping := createSchedule(t, x, `"spec": {"every": [{"every_seconds": 1}]}, "overlap": "skip"`)
	going(t, x, skipping.ID, 1)
	harness.Eventually(t, within, "firings are skipped", func() bool { return findSchedule(t, x, skipping.ID).Firings.SkippedOverlap >= 2 })
	askSchedule(t, x, "POST", schedulePath(skipping.ID, "/pause"), nil).Want(t, 200)
	counts := findSchedule(t, x, skipping.ID).Firings
	var all sync.WaitGroup
	for range 3 {
		for _, one := range []*harness.Process{p, other} {
			all.Go(func() {
				if err := one.App.Schedules.Watch(t.Context(), 0); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	must(t, p.App.Schedules.Watch(t.Context(), 0))
	if got := of(counter, "outcome", "skipped", "reason", "_none"); got != float64(counts.SkippedOverlap) {
		t.Errorf("%v firings are counted as skipped, Temporal says %d", got, counts.SkippedOverlap)
	}
	if got := of(counter, "outcome", "started"); got != 1 || of(lag) != 1 {
		t.Errorf("%v firings are counted as started, %v lags", got, of(lag))
	}

	thread := uuid.Must(uuid.NewV7())
	_, err := s.Database.DB.Exec(x.Context(t.Context()), `insert into threads (id, tenant_id, created_at, updated_at) values ($1, $2, now(), now())`, thread, x.ID)
	must(t, err)
	refused := createSchedule(t, x, `"spec": {"every": [{"every_seconds": 1}]}, "overlap": "allow_all", "run": {"input": "go", "thread_id": %q}`, thread)
	harness.Eventually(t, within, "firings are refused", func() bool { return of(counter, "outcome", "refused", "reason", "thread_busy") >= 2 })
	askSchedule(t, x, "DELETE", schedulePath(refused.ID, ""), nil).Want(t, 204)
	if got := of(counter, "outcome", "started"); got != 2 {
		t.Errorf("%v firings are counted as started", got)
	}
	lags, yearly := of(lag), createSchedule(t, x, `"spec": {"cron": ["0 0 1 1 *"]}`)
	askSchedule(t, x, "POST", schedulePath(yearly.ID, "/trigger"), nil).Want(t, 202)
	harness.Eventually(t, within, "the trigger's run is counted", func() bool { return of(counter, "outcome", "started") == 3 })
	if of(lag) != lags {
		t.Error("a trigger has a lag")
	}

	harness.Eventually(t, within, "schedules are counted by state", func() bool {
		states, err := p.App.Schedules.CountStates(t.Context())
		must(t, err)
		found := map[string]int64{}
		for _, c := range states {
			if c.TenantID == x.ID {
				found[string(c.State)] = c.N
			}
		}
		return found["paused"] == 1 && found["active"] == 1 && len(found) == 2
	})
}
