package telemetry

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func shownRuns(t *testing.T, m *Metrics) []string {
	t.Helper()
	var out []string
	for id, metric := range values(family(t, m, "lari_runs_active"), "run_id") {
		out = append(out, fmt.Sprintf("%s=%v", id, metric.GetGauge().GetValue()))
	}
	slices.Sort(out)
	return out
}

func TestActiveRunsComeAndGo(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	run := func(id string) ActiveRun { return ActiveRun{Tenant: "acme", ID: id} }
	for _, step := range []struct {
		do   func()
		want []string
	}{
		{func() {}, nil},
		{func() { m.Runs.Activate(run("a")) }, []string{"a=1"}},
		{func() { m.Runs.Activate(run("a")) }, []string{"a=1"}},
		{func() { m.Runs.Activate(run("")) }, []string{"a=1"}},
		{func() { m.Runs.Activate(run("b")) }, []string{"a=1", "b=1"}},
		{func() { m.Runs.Deactivate("a") }, []string{"b=1"}},
		{func() { m.Runs.Deactivate("elsewhere") }, []string{"b=1"}},
		{func() { m.Runs.Activate(run("c")) }, []string{"b=1", "c=1"}},
	} {
		step.do()
		if got := shownRuns(t, m); !slices.Equal(got, step.want) {
			t.Errorf("shown %v, want %v", got, step.want)
		}
		if got := m.Runs.Active(); len(got) != len(step.want) {
			t.Errorf("listed %v, want %v", got, step.want)
		}
	}
}

func TestActiveRunsAreBounded(t *testing.T) {
	t.Parallel()
	desc := prometheus.NewDesc("runs", "Runs.", []string{"tenant_id", "workspace_id", "run_id"}, nil)
	active := newActiveRuns(newLabels(10), 3, desc)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { active.add(ActiveRun{Tenant: "acme", ID: fmt.Sprint(i)}) })
	}
	wg.Wait()
	if n := testutil.CollectAndCount(active); n != 4 {
		t.Errorf("%d series, want 3 and _other", n)
	}
	active.add(ActiveRun{Tenant: "acme", ID: "\xff"})
	for i := range 20 {
		active.remove(fmt.Sprint(i))
	}
	if n := testutil.CollectAndCount(active); n != 1 { // the id that cannot be a label
		t.Errorf("%d series are left, want 1", n)
	}
	if active.own != 0 {
		t.Errorf("%d places are still taken", active.own)
	}
}
