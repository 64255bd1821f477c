// Package replay proves that workflow code still decides what it decided when it ran: it replays stored
// histories, one for each way in which a run ends, and runs each of these ways without a workflow cache,
// so that every workflow task is a replay from the beginning.
package replay

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// scenario is one way in which a run goes.
type scenario struct {
	name   string // of the stored history
	status string // of the run in the end
	rules  []fakellm.Rule
	agent  agents.Config
	body   string // of the request; empty: a plain one
	steps  int    // of one workflow execution; zero: as many as it takes
	quotas string // of the tenant, as it sets them; empty: none
	// play does what has to happen after the start; nil: nothing. The run ends by itself then.
	play func(t *testing.T, x *harness.Tenant, r harness.Run)
	// queued: the run is accepted before there is a worker; play happens in between.
	queued    bool
	collector string // where its spans are sent; empty: none are made
}

func calculate(expressions ...string) fakellm.Reply {
	var r fakellm.Reply
	for _, e := range expressions {
		r.ToolCalls = append(r.ToolCalls, fakellm.ToolCall{Name: "calculator", Arguments: `{"expression":"` + e + `"}`})
	}
	return r
}

func rules(replies ...fakellm.Reply) []fakellm.Rule {
	var all []fakellm.Rule
	for i, r := range replies {
		rule := fakellm.Rule{Times: 1, Reply: r}
		if i == len(replies)-1 {
			rule.Times = 0
		}
		all = append(all, rule)
	}
	return all
}

func calculating(needsApproval bool) agents.Config {
	return agents.Config{Tools: []agents.ToolRef{{Name: "calculator", NeedsApproval: needsApproval}}, ApprovalTTLSeconds: 60}
}

func scenarios(webhookURL string) []scenario {
	done := fakellm.Reply{Text: "All done."}
	endless := fakellm.Reply{Text: "It never", HangAfter: 2}
	impatient := calculating(true)
	impatient.ApprovalTTLSeconds = 1
	tokens := int64(10)
	return []scenario{
		{name: "completed", status: "completed", rules: rules(done)},
		{name: "completed_with_tools", status: "completed", agent: calculating(false), rules: rules(calculate("1+1", "2+2"), calculate("3+3"), done)},
		{name: "approved", status: "completed", agent: calculating(true), rules: rules(calculate("6*7"), done), play: answer("approve")},
		{name: "rejected", status: "completed", agent: calculating(true), rules: rules(calculate("6*7"), done), play: answer("reject")},
		{name: "approval_expired", status: "completed", agent: impatient, rules: rules(calculate("6*7"), done)},
		{name: "cancelled", status: "cancelled", rules: rules(endless), play: cancelAfter(event.MessageDelta)},
		{name: "cancelled_while_waiting", status: "cancelled", agent: calculating(true), rules: rules(calculate("6*7"), done), play: cancelAfter(event.ApprovalRequested)},
		{name: "cancelled_in_the_queue", status: "cancelled", rules: rules(done), queued: true, play: cancel},
		{
			name: "model_error", status: "failed",
			rules: rules(fakellm.Reply{Failure: &fakellm.Failure{Status: http.StatusBadRequest}}),
		},
		{
			name: "budget_exceeded", status: "failed", agent: agents.Config{Tools: []agents.ToolRef{{Name: "calculator"}}, MaxTokens: &tokens},
			rules: rules(fakellm.Reply{ToolCalls: calculate("1+1").ToolCalls, Usage: &fakellm.Usage{Input: 5, Output: 5}}),
		},
		{
			name: "cut_by_its_budget", status: "failed", agent: agents.Config{MaxTokens: &tokens},
			rules: rules(fakellm.Reply{Text: "Half of", FinishReason: "length", Usage: &fakellm.Usage{Input: 1, Output: 2}}),
		},
		{name: "timed_out", status: "timed_out", agent: agents.Config{TimeoutSeconds: 5}, rules: rules(endless)},
		{
			name: "continued_as_new", status: "completed", agent: calculating(true), steps: 1,
			rules: rules(calculate("1+1"), calculate("2+2"), done), play: answer("approve", "approve"),
		},
		{
			name: "quota_exceeded", status: "failed", agent: calculating(false), rules: rules(calculate("1+1"), done), quotas: `{"tokens_per_month": 10}`,
		},
		{
			name: "held_by_a_quota", status: "completed", agent: calculating(false), rules: rules(calculate("1+1"), done),
			quotas: `{"tokens_per_month": 10, "on_exhausted": "pause"}`, play: moreTokens,
		},
		{
			name: "cancelled_while_held", status: "cancelled", agent: calculating(false), rules: rules(calculate("1+1"), done), steps: 1,
			quotas: `{"tokens_per_month": 10, "on_exhausted": "pause"}`, play: cancelWhileHeld,
		},
		{
			name: "group_stopped", status: "timed_out", rules: rules(fakellm.Reply{ToolCalls: []fakellm.ToolCall{
				{ID: "a", Name: "http_get", Arguments: `{"url":"` + webhookURL + hangingPath + `"}`}, {ID: "b", Name: "calculator", Arguments: `{"expression":"6*7"}`},
			}}, done),
			agent: agents.Config{
				Tools: []agents.ToolRef{{Name: "http_get"}, {Name: "calculator", NeedsApproval: true}}, TimeoutSeconds: 5, ApprovalTTLSeconds: 3600,
			},
		},
		{name: "webhook", status: "completed", rules: rules(done), body: `{"input": "go", "webhook_url": "` + webhookURL + `"}`},
	}
}

// answer resolves one approval after the other.
func answer(decisions ...string) func(*testing.T, *harness.Tenant, harness.Run) {
	return func(t *testing.T, x *harness.Tenant, r harness.Run) {
		t.Helper()
		follower := x.Follow(t, r.ID, 0)
		for _, decision := range decisions {
			events := follower.Until(t, event.ApprovalRequested)
			asked := harness.Payload[event.ApprovalAsked](t, events[len(events)-1])
			x.Do(t, "POST", "/v1/runs/"+r.ID.String()+"/approvals/"+asked.ApprovalID.String(), `{"decision": "`+decision+`"}`).Want(t, 200)
		}
	}
}

// heldBack returns when a quota holds the run back.
func heldBack(t *testing.T, x *harness.Tenant, r harness.Run) {
	t.Helper()
	harness.Eventually(t, 30*time.Second, "the run waits", func() bool { return x.FindRun(t, r.ID).Status == "waiting" })
}

func moreTokens(t *testing.T, x *harness.Tenant, r harness.Run) {
	t.Helper()
	heldBack(t, x, r)
	x.Do(t, "PUT", "/v1/tenants/"+x.ID.String()+"/quotas", `{}`).Want(t, 200)
}

// cancelWhileHeld cancels a run that has continued as new while it waited.
func cancelWhileHeld(t *testing.T, x *harness.Tenant, r harness.Run) {
	t.Helper()
	heldBack(t, x, r)
	first := execution(t, x, r)
	harness.Eventually(t, 30*time.Second, "the run has continued as new", func() bool { return execution(t, x, r) != first })
	cancel(t, x, r)
}

// execution names the latest execution of the run.
func execution(t *testing.T, x *harness.Tenant, r harness.Run) string {
	t.Helper()
	var e struct {
		ID string `json:"execution_id"`
	}
	x.Do(t, "GET", "/v1/runtime/runs/"+r.ID.String(), nil).Want(t, 200, &e)
	return e.ID
}

func cancelAfter(typ event.Type) func(*testing.T, *harness.Tenant, harness.Run) {
	return func(t *testing.T, x *harness.Tenant, r harness.Run) {
		t.Helper()
		x.Follow(t, r.ID, 0).Until(t, typ)
		cancel(t, x, r)
	}
}

func cancel(t *testing.T, x *harness.Tenant, r harness.Run) {
	t.Helper()
	x.Do(t, "POST", "/v1/runs/"+r.ID.String()+"/cancel?wait=true", `{"reason": "changed my mind"}`).Want(t, 200)
}

// played is a scenario's run that has ended.
type played struct {
	system *harness.System
	tenant *harness.Tenant
	run    harness.Run
	events []event.Event
	worker *harness.Process
}

// run plays the scenario on a system of its own and returns when its workflow has closed.
func (sc scenario) run(t *testing.T) played {
	t.Helper()
	s := harness.NewSystem(t, sc.rules...)
	cfg := s.Config
	cfg.Worker.StepsPerExecution = sc.steps
	if sc.collector != "" {
		cfg.Traces = config.Traces{Endpoint: config.NewURL(sc.collector), Service: "lari", Sampler: tracing.ParentAlwaysOn, Reads: 1}
	}
	front := s.StartWith(t, cfg, app.Options{API: true})
	var back *harness.Process
	if !sc.queued {
		back = s.StartWith(t, cfg, app.Options{Worker: true})
	}
	x := front.NewTenant(t, sc.agent)
	body := sc.body
	if body == "" {
		body = `{"input": "go"}`
	}
	if sc.quotas != "" {
		x.Do(t, "PUT", "/v1/tenants/"+x.ID.String()+"/quotas", sc.quotas).Want(t, 200)
	}
	r := x.StartRun(t, body)
	if sc.play != nil {
		sc.play(t, x, r)
	}
	if sc.queued {
		back = s.StartWith(t, cfg, app.Options{Worker: true})
	}
	events := x.Follow(t, r.ID, 0).Rest(t)
	// An empty run id means the last execution of the chain, and Get follows it.
	_ = s.Temporal.GetWorkflow(t.Context(), workflows.RunWorkflowID(x.ID, r.ID), "").Get(t.Context(), nil) // how it ended is the scenario's
	return played{system: s, tenant: x, run: x.FindRun(t, r.ID), events: events, worker: back}
}

// histories gives those of the run's workflow, execution by execution, and of its delivery if it has one.
func (p played) histories(t *testing.T, sc scenario) []*history.History {
	t.Helper()
	found := chain(t, p.system.Temporal, workflows.RunWorkflowID(p.tenant.ID, p.run.ID))
	if sc.body != "" {
		delivery := workflows.DeliveryWorkflowID(connectors.Delivery{
			TenantID: p.tenant.ID, RunID: p.run.ID, Seq: p.events[len(p.events)-1].Seq, Connector: "webhook",
		})
		harness.Eventually(t, 20*time.Second, "the delivery has been made", func() bool { // it begins a moment after its event
			return p.system.Temporal.GetWorkflow(t.Context(), delivery, "").Get(t.Context(), nil) == nil
		})
		found = append(found, chain(t, p.system.Temporal, delivery)...)
	}
	return found
}

// hangingPath is where the receiver does not answer.
const hangingPath = "/hanging"

// receiver takes webhooks.
func receiver(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == hangingPath {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// chain gives the histories of a workflow, from its first execution through each that continued it as new.
func chain(t *testing.T, c client.Client, id string) []*history.History {
	t.Helper()
	var found []*history.History
	for runID := ""; ; {
		h := &history.History{}
		events := c.GetWorkflowHistory(t.Context(), id, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				t.Fatalf("the history of %s: %v", id, err)
			}
			h.Events = append(h.Events, e)
		}
		found = slices.Insert(found, 0, h)
		if runID = started(h).GetContinuedExecutionRunId(); runID == "" {
			return found
		}
	}
}

// started is what the first event of a history says.
func started(h *history.History) *history.WorkflowExecutionStartedEventAttributes {
	return h.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
}
