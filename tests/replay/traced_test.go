package replay

import (
	"context"
	"log/slog"
	"testing"

	"go.temporal.io/sdk/worker"

	temporalplatform "github.com/larirun/lari/internal/platform/temporal"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/tests/collector"
	"github.com/larirun/lari/workflows"
)

// tracer sends to a collector of the test's.
func tracer(t *testing.T, c *collector.Collector) *tracing.Tracer {
	t.Helper()
	made, err := tracing.New(t.Context(), tracing.Options{
		Endpoint: c.URL, Service: "lari", Sampler: tracing.AlwaysOn, Ratio: 1, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Histories of a system that does not trace replay on one that does: tracing may be switched on while runs are
// open. A replay tells the collector nothing.
func TestHistoriesReplayWithTracing(t *testing.T) {
	t.Parallel()
	spans := collector.New(t)
	made := tracer(t, spans)
	plugin, err := workflows.Plugin(temporalplatform.NewTracing(made))
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range stored(t) {
		if err := replay(t, worker.WorkflowReplayerOptions{Plugins: []worker.Plugin{plugin}}, workflows.AgentRun, h); err != nil {
			t.Errorf("%s: with tracing the workflow decides otherwise: %v", name, err)
		}
	}
	if err := made.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := len(spans.Spans()); n != 0 {
		t.Errorf("replays made %d spans", n)
	}
}

// Histories of a system that traces replay on one that does not, and there is one span for each execution although
// no worker keeps a workflow: each step is a replay.
func TestTracedHistoriesReplayWithout(t *testing.T) {
	t.Parallel()
	spans := collector.New(t)
	tried := 0
	for _, sc := range scenarios(receiver(t)) {
		if sc.name != "completed_with_tools" && sc.name != "continued_as_new" {
			continue
		}
		tried++
		sc.collector = spans.URL
		p := sc.run(t)
		histories := p.histories(t, sc)
		for i, h := range histories {
			if started(h).GetHeader().GetFields()["_tracer-data"] == nil {
				t.Errorf("%s: execution %d is in no trace", sc.name, i+1)
			}
			if err := replay(t, plugged(t), workflows.AgentRun, h); err != nil {
				t.Errorf("%s: execution %d: without tracing the workflow decides otherwise: %v", sc.name, i+1, err)
			}
		}
		if err := p.worker.Stop(); err != nil {
			t.Error(err)
		}
		executions := map[string]int{}
		for _, s := range spans.Spans() {
			if s.Name == workflows.AgentRunName && s.Attributes["lari.run_id"] == p.run.ID.String() {
				executions[s.ID]++
			}
		}
		if len(executions) != len(histories) {
			t.Errorf("%s: %d executions have %d spans", sc.name, len(histories), len(executions))
		}
		for id, n := range executions {
			if n != 1 {
				t.Errorf("%s: the span %s was sent %d times", sc.name, id, n)
			}
		}
	}
	if tried != 2 {
		t.Errorf("%d scenarios were tried", tried)
	}
}
