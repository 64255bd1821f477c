package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/tests/collector"
	"github.com/larirun/lari/tests/cputime"
	"github.com/larirun/lari/tests/harness"
)

// observed is what a configuration measures, beside one that measures nothing.
type observed struct {
	name         string
	target       string  // what the ratio is to be; empty: it is only told
	off, url     string  // of a process that measures nothing, and of the one that does
	share        float64 // of the requests that are traced
	ratios       []float64
	answers, cpu [2]float64 // of the rounds together
}

// TestTelemetry compares reading a run while metrics are kept and traces are sent with doing so while nothing is measured.
// Each has a partner of its own: one that all share would be warmer. The first pair is of two processes that measure
// nothing, and shows how far the comparison is to be trusted.
func TestTelemetry(t *testing.T) {
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	run, _, _ := lari(t, x)
	spans := collector.New(t)
	spans.Forget.Store(true)
	start := func(metrics, traces bool, reads float64) string {
		cfg := s.Config
		cfg.Metrics.On = metrics
		if traces {
			cfg.Traces.Endpoint, cfg.Traces.Reads = config.NewURL(spans.URL), reads
		}
		return s.StartWith(t, cfg, app.Options{API: true}).URL + "/v1/runs/" + run.String()
	}
	sampled := s.Config.Traces.Reads
	pairs := []*observed{
		{name: "off/off", off: start(false, false, 0), url: start(false, false, 0)},
		{name: "metrics/off", off: start(false, false, 0), url: start(true, false, 0)},
		{name: "on/off", target: "; at least 0.93", share: sampled, off: start(false, false, 0), url: start(true, true, sampled)},
		{name: "on with a trace of every read/off", share: 1, off: start(false, false, 0), url: start(true, true, 1)},
	}
	client := &fasthttp.Client{MaxConnsPerHost: readers}
	defer client.CloseIdleConnections()
	traced := 0.0
	for round := range readRounds {
		for _, p := range pairs {
			var rate [2]float64
			first := rand.IntN(2) //nolint:gosec // chance is all it is
			for _, which := range []int{first, 1 - first} {
				before := cputime.Used(t)
				rate[which] = hammer(t, client, []reading{{[]string{p.off, p.url}[which], x.Token}})
				if round >= readRounds/10 { // what is before is the warm-up
					p.cpu[which] += (cputime.Used(t) - before).Seconds()
					p.answers[which] += rate[which] * readFor.Seconds()
				}
			}
			traced += p.share * rate[1] * readFor.Seconds()
			if round >= readRounds/10 {
				p.ratios = append(p.ratios, rate[1]/rate[0])
			}
		}
	}
	for _, p := range pairs {
		slices.Sort(p.ratios)
		n := len(p.ratios)
		fmt.Printf("RATIO %s GET of a run, paired: %.3f (half of them between %.3f and %.3f%s); of all rounds together %.3f, time of the processor %.3f\n",
			p.name, p.ratios[n/2], p.ratios[n/4], p.ratios[3*n/4], p.target, p.answers[1]/p.answers[0], p.cpu[1]/p.answers[1]/(p.cpu[0]/p.answers[0]))
	}
	harness.Eventually(t, 10*time.Second, "the last spans have arrived", func() bool { return float64(spans.Counted.Load()) >= .9*traced })
	fmt.Printf("%d spans arrived, about %.0f were made\n", spans.Counted.Load(), traced)
}
