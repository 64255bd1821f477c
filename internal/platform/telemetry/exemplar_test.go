package telemetry

import (
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// An exemplar names the run and, if it is kept, its trace; what is no id of a trace does not panic.
func TestExemplarsNameTheTrace(t *testing.T) {
	t.Parallel()
	const run, trace = "0190a0b0-0000-7000-8000-000000000002", "4bf92f3577b34da6a3ce929d0e0e4736"
	for given, want := range map[string]string{trace: trace, "": "", "too short": ""} {
		m := New(Options{MaxTenants: 10})
		m.Model.Answered("openai", "gpt", run, time.Second, given)
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, f := range families {
			if f.GetType() != dto.MetricType_HISTOGRAM {
				continue
			}
			for _, series := range f.GetMetric() {
				for _, b := range series.GetHistogram().GetBucket() {
					for _, l := range b.GetExemplar().GetLabel() {
						found[l.GetName()] = l.GetValue()
					}
				}
			}
		}
		if found["run_id"] != run || found["trace_id"] != want {
			t.Errorf("with the trace %q the exemplar is %v", given, found)
		}
	}
}
