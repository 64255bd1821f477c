package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/tests/collector"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
)

// Words that no span and no line of the log may hold.
const (
	spokenPrompt = "marker-prompt-7f3a"
	spokenAnswer = "marker-answer-91bc"
	spokenTool   = "marker-tool-55d0"
)

// tracedTo is the system's configuration with spans sent to the collector.
func tracedTo(s *harness.System, c *collector.Collector) config.Config {
	cfg := s.Config
	cfg.Traces = config.Traces{Endpoint: config.NewURL(c.URL), Service: "lari", Sampler: tracing.ParentAlwaysOn, Ratio: 1, Reads: 1}
	return cfg
}

// one gives the only span that fits.
func one(t *testing.T, spans []collector.Span, what string, fits func(collector.Span) bool) collector.Span {
	t.Helper()
	var found []collector.Span
	for _, s := range spans {
		if fits(s) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		var names []string
		for _, s := range spans {
			names = append(names, s.Name)
		}
		t.Fatalf("%d spans are %s among %s", len(found), what, strings.Join(names, ", "))
	}
	return found[0]
}

func named(name string) func(collector.Span) bool {
	return func(s collector.Span) bool { return s.Name == name }
}

func wantBelow(t *testing.T, child, parent collector.Span) {
	t.Helper()
	if child.Parent != parent.ID || child.Trace != parent.Trace {
		t.Errorf("%s (%s, parent %s) is not below %s (%s, %s)", child.Name, child.Trace, child.Parent, parent.Name, parent.Trace, parent.ID)
	}
}

func wantAttributes(t *testing.T, s collector.Span, want ...string) {
	t.Helper()
	for i := 0; i < len(want); i += 2 {
		if got := s.Attributes[want[i]]; got != want[i+1] {
			t.Errorf("%s: %s is %q, want %q", s.Name, want[i], got, want[i+1])
		}
	}
}

// From the request over the start, the workflow and its activities to the model, the tool and the webhook: one
// trace, each below the one that caused it, over two processes. The caller's own trace is continued, and the
// receiver and the page that a tool reads are told; the model provider is not.
func TestOneTraceFromTheRequestToTheModel(t *testing.T) {
	t.Parallel()
	pages := make(chan http.Header, 1)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages <- r.Header.Clone()
		_, _ = w.Write([]byte(spokenTool))
	}))
	t.Cleanup(site.Close)
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
		{Turn: fakellm.FirstTurn, Reply: calls("http_get", fmt.Sprintf(`{"url":%q}`, site.URL))},
		{Reply: fakellm.Reply{Text: spokenAnswer, Usage: &fakellm.Usage{Input: 21, Output: 7}}},
	}})
	sink := collector.New(t)
	hooks := newReceiver(t)
	cfg := tracedTo(s, sink)
	web, working := cfg, cfg
	web.Traces.Service, working.Traces.Service = "lari-api", "lari-worker"
	front := s.StartWith(t, web, app.Options{API: true})
	back := s.StartWith(t, working, app.Options{Worker: true})
	x := front.NewTenant(t, withTools("http_get"))

	const caller, callersSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	var r harness.Run
	x.Do(t, "POST", "/v1/runs", map[string]any{"input": spokenPrompt, "webhook_url": hooks.URL},
		"traceparent", "00-"+caller+"-"+callersSpan+"-01", "tracestate", "vendor=1", "baggage", "secret=marker", "X-Request-Id", "req-traced").Want(t, 202, &r)
	harness.WantWhole(t, x.Follow(t, r.ID, 0).Rest(t))
	told := hooks.next(t)
	must(t, back.Stop())
	must(t, front.Stop())

	var spans []collector.Span
	for _, s := range sink.Spans() {
		if s.Trace == caller {
			spans = append(spans, s)
		}
		for _, spoken := range []string{spokenPrompt, spokenAnswer, spokenTool, site.URL, hooks.URL, "secret=marker"} {
			if strings.Contains(s.Text, spoken) {
				t.Errorf("a span holds %q: %s", spoken, s.Text)
			}
		}
	}
	request := one(t, spans, "the request", named("POST /v1/runs"))
	started := one(t, spans, "the start", named("start AgentRun"))
	executed := one(t, spans, "the workflow", named("AgentRun"))
	model := one(t, spans, "the model's answer", func(s collector.Span) bool {
		return strings.HasPrefix(s.Name, "chat ") && s.Attributes["gen_ai.response.finish_reasons"] == "stop"
	})
	step := one(t, spans, "the second step", func(s collector.Span) bool { return s.ID == model.Parent })
	call := one(t, spans, "the tool's activity", named("CallTool"))
	tool := one(t, spans, "the tool", named("execute_tool http_get"))
	begun := one(t, spans, "the record of the start", named("RecordStart"))
	ended := one(t, spans, "the record of the end", named("RecordFinish"))
	if request.Parent != callersSpan || request.State != "vendor=1" || request.Service != "lari-api" || request.Kind != tracepb.Span_SPAN_KIND_SERVER {
		t.Errorf("the request's span is %+v", request)
	}
	if executed.Service != "lari-worker" || step.Name != "CallModel" || model.Kind != tracepb.Span_SPAN_KIND_CLIENT {
		t.Errorf("the workflow is %+v, the step %+v, the model %+v", executed, step, model)
	}
	wantBelow(t, started, request)
	wantBelow(t, executed, started)
	wantBelow(t, begun, executed)
	wantBelow(t, ended, executed)
	wantBelow(t, step, executed)
	wantBelow(t, call, executed)
	wantBelow(t, model, step)
	wantBelow(t, tool, call)
	if executed.Began > step.Began || executed.Ended < executed.Began || executed.Ended < step.Ended {
		t.Errorf("the workflow went from %d to %d, its step from %d to %d", executed.Began, executed.Ended, step.Began, step.Ended)
	}
	agent := executed.Attributes["lari.agent_id"]
	if uuid.Validate(agent) != nil {
		t.Errorf("the workflow's agent is %q", agent)
	}
	for _, s := range []collector.Span{request, started, executed, begun, ended, step, call, model, tool} {
		wantAttributes(t, s, "lari.tenant_id", x.ID.String(), "lari.run_id", r.ID.String(), "lari.agent_id", agent, "lari.request_id", "req-traced")
	}
	wantAttributes(t, request, "http.route", "/v1/runs", "http.request.method", "POST", "http.response.status_code", "202")
	wantAttributes(t, model, "gen_ai.operation.name", "chat", "gen_ai.provider.name", "openai", "gen_ai.system", "openai",
		"gen_ai.request.model", s.Config.Models.OpenAIModel, "gen_ai.usage.input_tokens", "21", "gen_ai.usage.output_tokens", "7")
	wantAttributes(t, tool, "gen_ai.operation.name", "execute_tool", "gen_ai.tool.name", "http_get")
	wantAttributes(t, step, "temporal.activity.attempt", "1")

	page := <-pages
	if got := page.Get("traceparent"); got != "00-"+caller+"-"+tool.ID+"-01" || page.Get("baggage") != "" {
		t.Errorf("the page was told %q and baggage %q", got, page.Get("baggage"))
	}
	for _, asked := range s.Model.Records() {
		if asked.Header.Get("traceparent") != "" || asked.Header.Get("tracestate") != "" {
			t.Errorf("the model was told of the trace: %v", asked.Header)
		}
	}
	sent := strings.Split(told.header.Get("traceparent"), "-")
	if len(sent) != 4 {
		t.Fatalf("the receiver was told %q", told.header.Get("traceparent"))
	}
	post := one(t, sink.Spans(), "the webhook's", func(s collector.Span) bool { return s.ID == sent[2] })
	wantAttributes(t, post, "http.request.method", "POST", "http.response.status_code", "200", "server.address", "127.0.0.1", "lari.run_id", r.ID.String())
	delivered := one(t, sink.Spans(), "the delivery's activity", func(s collector.Span) bool { return s.ID == post.Parent })
	if delivered.Name != "Deliver" || delivered.Trace != sent[1] {
		t.Errorf("the webhook is below %+v", delivered)
	}
}

// Whatever fails is named by its class, and a second attempt is in the same trace, below the same workflow; so are
// the executions that a run continues as.
func TestATraceOutlivesRetriesAndContinuations(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Times: 1, Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 503, Body: "overloaded by " + spokenPrompt}}},
		fakellm.Rule{Times: 2, Reply: calls("calculator", `{"expression":"1+1"}`)}, fakellm.Rule{Reply: says("Two.")})
	spans := collector.New(t)
	cfg := tracedTo(s, spans)
	cfg.Worker.StepsPerExecution = 2
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, withTools("calculator"))
	r := x.StartRun(t, map[string]any{"input": spokenPrompt})
	harness.WantWhole(t, x.Follow(t, r.ID, 0).Rest(t))
	must(t, p.Stop())

	var steps, executions, failed []collector.Span
	traces := map[string]bool{}
	for _, s := range spans.Spans() {
		if s.Attributes["lari.run_id"] != r.ID.String() || strings.HasPrefix(s.Name, "GET ") {
			continue
		}
		traces[s.Trace] = true
		switch {
		case s.Name == "CallModel":
			steps = append(steps, s)
		case s.Name == "AgentRun":
			executions = append(executions, s)
		case strings.HasPrefix(s.Name, "chat ") && s.Status == tracepb.Status_STATUS_CODE_ERROR:
			failed = append(failed, s)
		}
		if strings.Contains(s.Text, spokenPrompt) {
			t.Errorf("a span quotes the prompt: %s", s.Text)
		}
	}
	if len(traces) != 1 || len(steps) != 4 || len(executions) != 2 || len(failed) != 1 {
		t.Fatalf("%d traces, %d steps, %d executions, %d failures", len(traces), len(steps), len(executions), len(failed))
	}
	wantAttributes(t, failed[0], "error.type", "overloaded")
	begun := one(t, spans.Spans(), "the start", func(s collector.Span) bool {
		return s.Name == "start AgentRun" && s.Attributes["lari.run_id"] == r.ID.String()
	})
	attempts := map[string]int{}
	for _, e := range executions {
		wantBelow(t, e, begun)
	}
	for _, s := range steps {
		attempts[s.Attributes["temporal.activity.attempt"]]++
		if s.Parent != executions[0].ID && s.Parent != executions[1].ID {
			t.Errorf("a step is below %s", s.Parent)
		}
	}
	if attempts["1"] != 3 || attempts["2"] != 1 {
		t.Errorf("the attempts are %v", attempts)
	}
}

// A run that was held begins a trace of its own once it is let go, which points to the request's.
func TestAHeldRunBeginsATraceOfItsOwn(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	spans := collector.New(t)
	p := s.StartWith(t, tracedTo(s, spans), harness.All)
	x := p.NewTenant(t, agents.Config{})
	const caller = "0af7651916cd43dd8448eb211c80319c"
	var r harness.Run
	x.Do(t, "POST", "/v1/runs", `{"input":"later","after_seconds":1}`, "traceparent", "00-"+caller+"-b7ad6b7169203331-01").Want(t, 202, &r)
	harness.WantWhole(t, x.Follow(t, r.ID, 0).Rest(t))
	must(t, p.Stop())
	begun := one(t, spans.Spans(), "the start", func(s collector.Span) bool {
		return s.Name == "start AgentRun" && s.Attributes["lari.run_id"] == r.ID.String()
	})
	if begun.Trace == caller || begun.Parent != "" || len(begun.Links) != 1 || begun.Links[0] != caller {
		t.Errorf("the start is %+v", begun)
	}
	executed := one(t, spans.Spans(), "the workflow", named("AgentRun"))
	wantBelow(t, executed, begun)
}

// What the sampler does not keep is not sent, and a caller's decision counts.
func TestWhatIsNotSampledIsNotSent(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	spans := collector.New(t)
	cfg := tracedTo(s, spans)
	cfg.Traces.Sampler = tracing.AlwaysOff
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input":"hello"}`)
	harness.WantWhole(t, x.Follow(t, r.ID, 0).Rest(t))
	must(t, p.Stop())
	if n := spans.Requests.Load(); n != 0 {
		t.Errorf("%d requests for nothing", n)
	}

	p = s.StartWith(t, tracedTo(s, spans), harness.All)
	x.URL = p.URL
	x.Do(t, "POST", "/v1/runs", `{"input":"hello"}`, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").Want(t, 202, &r)
	events := x.Follow(t, r.ID, 0).Rest(t)
	must(t, p.Stop())
	if last(events).Type != event.RunCompleted {
		t.Errorf("the run ended with %s", last(events).Type)
	}
	for _, s := range spans.Spans() {
		if s.Attributes["lari.run_id"] == r.ID.String() && !strings.HasPrefix(s.Name, "GET ") {
			t.Errorf("%s was sent although the caller does not keep its trace", s.Name)
		}
	}
}

// A collector that takes connections and never answers delays neither runs nor the end of the process.
func TestACollectorThatHangsDelaysNothing(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	spans := collector.New(t)
	spans.Hang.Store(true)
	p := s.StartWith(t, tracedTo(s, spans), harness.All)
	x := p.NewTenant(t, agents.Config{})
	run := func() {
		r := x.StartRun(t, `{"input":"hello"}`)
		harness.WantWhole(t, x.Follow(t, r.ID, 0).Rest(t))
	}
	run()
	waited := true
	for try := 0; waited && try < 10; try++ {
		harness.Eventually(t, within, "an export hangs", func() bool { return spans.Requests.Load() > spans.Left.Load() })
		left := spans.Left.Load()
		run()
		waited = spans.Left.Load() != left
	}
	if waited {
		t.Error("no run began and ended while the same export hung: they wait for exports")
	}
	watch := pace.Start(t)
	must(t, p.Stop())
	if took := watch.Took(); took > s.Config.Limits.ShutdownTimeout+5*time.Second {
		t.Errorf("the process took %s to stop", took)
	}
}
