package telemetry

import (
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// Passes that are to be made are counted from zero on, so that an alert sees that none is made.
func TestExpectedPassesStartAtZero(t *testing.T) {
	t.Parallel()
	if page := expose(t, New(Options{})); strings.Contains(page, "lari_reconciler_passes_total") {
		t.Error("passes are counted where none are to be made")
	}
	m := New(Options{})
	m.Reconciler.Expect()
	m.Reconciler.Passed(true)
	page := expose(t, m)
	for _, line := range []string{
		`lari_reconciler_passes_total{outcome="completed"} 1`, `lari_reconciler_passes_total{outcome="failed"} 0`, `lari_reconciler_found_total{workflow="stuck"} 0`,
	} {
		if !strings.Contains(page, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
}

// Alerts count runs whose first text came in time with this very bound.
func TestTheObjectiveIsABucket(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	m.Runs.FirstToken("acme", "", 0)
	buckets := family(t, m, "lari_run_time_to_first_token_seconds").GetMetric()[0].GetHistogram().GetBucket()
	if !slices.ContainsFunc(buckets, func(b *dto.Bucket) bool { return b.GetUpperBound() == firstTokenObjective }) {
		t.Errorf("%d s is no bound of %v", firstTokenObjective, buckets)
	}
	for _, test := range []struct{ before, want []float64 }{
		{[]float64{1, 5, 10}, []float64{1, 5, 10}}, {[]float64{1, 10}, []float64{1, 5, 10}}, {[]float64{1}, []float64{1, 5}}, {nil, []float64{5}},
	} {
		if got := withBound(test.before, firstTokenObjective); !slices.Equal(got, test.want) {
			t.Errorf("%v becomes %v", test.before, got)
		}
	}
}
