package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/tests/collector"
	"github.com/larirun/lari/tests/harness"
)

// observed is what a configuration measures, beside one that measures nothing.
type observed struct {
	name         string
	target       string // what the ratio is to be; empty: it is only told
	url          string
	ratios, cost []float64
}

// cpuTime is what this process has used of its processors, client included: the machine may have other work.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestTelemetry compares reading a run while metrics are kept and traces are sent with doing so while nothing is measured.
// The first pair is of two processes that measure nothing, and shows how far the comparison is to be trusted.
func TestTelemetry(t *testing.T) {
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	run, _, _ := lari(t, x)
	spans := collector.New(t)
	spans.Forget.Store(true)
	start := func(metrics bool, sampler tracing.Sampler, ratio float64) string {
		cfg := s.Config
		cfg.Metrics.On = metrics
		if sampler != "" {
			cfg.Traces = config.Traces{Endpoint: config.NewURL(spans.URL), Service: "lari", Sampler: sampler, Ratio: ratio}
		}
		return s.StartWith(t, cfg, app.Options{API: true}).URL + "/v1/runs/" + run.String()
	}
	off := start(false, "", 0)
	pairs := []*observed{
		{name: "off/off", url: start(false, "", 0)},
		{name: "metrics/off", url: start(true, "", 0)},
		{name: "metrics and 5 % of traces/off", url: start(true, tracing.ParentRatio, .05)},
		{name: "on/off", target: "; at least 0.93", url: start(true, tracing.ParentAlwaysOn, 1)},
	}
	client := &fasthttp.Client{MaxConnsPerHost: readers}
	defer client.CloseIdleConnections()
	traced := 0.0
	for round := range readRounds {
		for _, p := range pairs {
			var rate, cost [2]float64
			first := rand.IntN(2) //nolint:gosec // chance is all it is
			for _, which := range []int{first, 1 - first} {
				before := cpuTime(t)
				rate[which] = hammer(t, client, []string{off, p.url}[which], x.Token)
				cost[which] = (cpuTime(t) - before).Seconds() / rate[which]
			}
			if p.target != "" {
				traced += rate[1] * readFor.Seconds()
			}
			if round >= readRounds/10 { // what is before is the warm-up
				p.ratios, p.cost = append(p.ratios, rate[1]/rate[0]), append(p.cost, cost[1]/cost[0])
			}
		}
	}
	for _, p := range pairs {
		slices.Sort(p.ratios)
		slices.Sort(p.cost)
		n := len(p.ratios)
		fmt.Printf("RATIO %s GET of a run, paired: %.3f (half of them between %.3f and %.3f%s); time of the processor %.3f\n",
			p.name, p.ratios[n/2], p.ratios[n/4], p.ratios[3*n/4], p.target, p.cost[n/2])
	}
	harness.Eventually(t, 10*time.Second, "the last spans have arrived", func() bool { return float64(spans.Counted.Load()) >= .5*traced })
	fmt.Printf("%d spans arrived, of %.0f requests that were traced and a twentieth of others\n", spans.Counted.Load(), traced)
}
