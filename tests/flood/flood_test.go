package flood

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

var figures = flag.Bool("figures", false, "measure the promised figure; without it a short form runs")

func TestMain(m *testing.M) { os.Exit(harness.WithoutLeaks(m)) }

// In the short form the other tenant is compared with the one that floods, in the same moment: where they share a
// queue, both wait as long, on any machine. The promised figure compares it with itself when nothing else happens,
// which says something only on a machine with nothing else to do.
func TestFlood_IsNotFeltByAnotherTenant(t *testing.T) {
	s := harness.NewSystem(t)
	cfg := s.Config
	cfg.Defaults = harness.DefaultLimits(t)
	p := s.StartWith(t, cfg, harness.All, harness.WithDefaultPatience)
	floods, other := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	plan, rounds := Plan{Requests: 500, Parallel: 150, Every: 50 * time.Millisecond, Idle: 10, Least: 20}, 1
	if *figures { // a flood is over in seconds: several give enough of the other tenant's requests
		plan.Every, plan.Idle, plan.Least, rounds = time.Second, 8, 0, 5
	}
	var r Result
	for range rounds {
		r.add(Run(t, plan, floods, other))
	}
	t.Log(r)
	if len(r.Failed) > 0 {
		t.Errorf("%d requests of the other tenant failed: %v", len(r.Failed), r.Failed)
	}
	if bad := r.Bad(); bad != "" {
		t.Errorf("the flood was answered with something else than 202 and 429: %s", bad)
	}
	if median := r.Flooded[len(r.Flooded)/2]; 2*median > r.Floods[len(r.Floods)/2] {
		t.Errorf("the other tenant waited %s where the flood waited %s for itself", median, r.Floods[len(r.Floods)/2])
	}
	if ratio := float64(P95(r.Flooded)) / float64(P95(r.Idle)); *figures {
		t.Logf("RATIO p95 of the other tenant during the flood / idle: %.2f (at most 3)", ratio)
		if ratio > 3 {
			t.Errorf("the other tenant's p95 is %.2f times that of its idle time", ratio)
		}
	}
}
