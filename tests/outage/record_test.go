package outage

import (
	"flag"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// away is longer than a record is tried by the SDK's own defaults, which is ten seconds.
var away = flag.Duration("away", 15*time.Second, "how long Postgres is away in TestPostgresAway_…; make chaos: 30 s and 5 min")

// patience is how long a run may take once Postgres is back: the longest pause between two tries, twice, and more.
const patience = 3 * time.Minute

// record is a place in a run at which it writes to Postgres.
type record struct {
	name   string
	at     string // what the request to Postgres holds
	calls  int    // of the tool, before the answer
	asks   bool   // the tool needs approval
	local  bool   // the workflow records it itself
	status string // of the run when Postgres is away
}

// records are all of a run. Those that wait at the server are last: the longer Postgres has been away for them, the
// later they are tried again.
func records() []record {
	return []record{
		{name: "step begins", at: "update run_messages set step", status: "running"},
		{name: "step", at: "insert into run_steps", status: "running"},
		{name: "call begins", at: "tool_call_started", calls: 1, status: "running"},
		{name: "call", at: "tool_call_completed", calls: 1, status: "running"},
		{name: "start", at: "run_started", local: true, status: "queued"},
		{name: "ask", at: "insert into approvals", calls: 1, asks: true, local: true, status: "running"},
		{name: "apply", at: "select exists (select from approvals", calls: 1, asks: true, local: true, status: "waiting"},
		{name: "finish", at: "run_completed", local: true, status: "running"},
	}
}

// TestPostgresAway_AtEveryRecord takes Postgres away from a run at each of its records, and then from all of the worker
// for longer than ten seconds. It costs a pause and nothing else: no answer is lost, and none that has been paid for is
// asked for again.
func TestPostgresAway_AtEveryRecord(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.StartWith(t, o.config, app.Options{Worker: true})
	o.begin(t, records())
	<-time.After(*away)
	o.database.Heal(t)
	o.wantCompleted(t)
	for _, r := range o.runs {
		if n := o.requests(r); n != 1+r.calls {
			t.Errorf("%s: the model was asked %d times, want %d", r.name, n, 1+r.calls)
		}
		o.wantHistory(t, r)
	}
}

// TestPostgresAway_AndTheWorkerIsKilled is the same with another worker that begins while Postgres is away.
func TestPostgresAway_AndTheWorkerIsKilled(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	behind := "DATABASE_URL=" + o.config.DatabaseURL.Reveal()
	worker := o.Spawn(t, program, "worker", behind)
	o.begin(t, records())
	worker.Kill()
	o.Spawn(t, program, "worker", behind)
	<-time.After(*away)
	o.database.Heal(t)
	o.wantCompleted(t)
}

// outage is a system whose worker reaches Postgres through a proxy, and its API does directly.
type outage struct {
	*harness.System
	config   config.Config
	database *harness.Proxy
	tenant   *harness.Tenant // whose tool needs no approval
	asking   *harness.Tenant
	runs     []*interrupted
}

// interrupted is a run at one of its records.
type interrupted struct {
	record
	harness.Run
	x      *harness.Tenant
	stream *harness.Stream
	seen   []event.Event
}

func newOutage(t *testing.T) *outage {
	t.Helper()
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "compute", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: "calculator", Arguments: `{"expression":"6*7"}`}}}},
		fakellm.Rule{Reply: fakellm.Reply{Text: answer}})
	o := &outage{System: s}
	o.config, o.database, _ = s.Behind(t)
	p := s.Start(t, app.Options{API: true})
	o.tenant = p.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator"}}})
	o.asking = p.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator", NeedsApproval: true}}})
	wantReadiness(t, o.tenant, 200, "")
	return o
}

// begin brings a run to each of the records, for which Postgres is away from then on, and takes it away from all then.
func (o *outage) begin(t *testing.T, all []record) {
	t.Helper()
	for _, r := range all {
		i := &interrupted{record: r, x: o.tenant}
		input := r.name
		if r.calls > 0 {
			input = "compute, " + r.name
		}
		if r.asks {
			i.x = o.asking
		}
		trap := o.database.Trap(r.at)
		i.Run = i.x.StartRun(t, map[string]string{"input": input})
		i.stream = i.x.Follow(t, i.ID, 0)
		lost := time.AfterFunc(*away+patience, i.stream.Close) // a run that ends wrongly may not end at all
		t.Cleanup(func() { lost.Stop() })
		if r.status == "waiting" {
			i.approve(t)
		}
		select {
		case <-trap.Reached:
		case <-time.After(time.Minute):
			t.Fatalf("%s: the run does not come to its record", r.name)
		}
		trap.Only(i.ID)
		if got := i.x.FindRun(t, i.ID).Status; got != r.status {
			t.Errorf("%s: Postgres goes away when the run is %s, not %s", r.name, got, r.status)
		}
		o.runs = append(o.runs, i)
	}
	o.database.Cut()
}

func (i *interrupted) approve(t *testing.T) {
	t.Helper()
	i.seen = append(i.seen, i.stream.Until(t, event.ApprovalRequested)...)
	asked := harness.Payload[event.ApprovalAsked](t, i.seen[len(i.seen)-1])
	i.x.Do(t, "POST", "/v1/runs/"+i.ID.String()+"/approvals/"+asked.ApprovalID.String(), `{"decision": "approve"}`).Want(t, 200)
}

// wantCompleted demands that every run completes with the whole answer.
func (o *outage) wantCompleted(t *testing.T) {
	t.Helper()
	for _, i := range o.runs {
		if i.asks && i.status != "waiting" {
			i.approve(t)
		}
		events := append(i.seen, i.stream.Rest(t)...)
		harness.WantWhole(t, events)
		if last := events[len(events)-1]; last.Type != event.RunCompleted {
			t.Errorf("%s: the run ended with %s: %s", i.name, last.Type, last.Data)
		} else if got := i.x.FindRun(t, i.ID); got.Status != "completed" || *got.Output != answer {
			t.Errorf("%s: the run is %+v", i.name, got)
		}
	}
}

// requests counts how often the model was asked for the run.
func (o *outage) requests(r *interrupted) (n int) {
	for _, record := range o.Model.Records() {
		if record.LastUser == r.name || record.LastUser == "compute, "+r.name {
			n++
		}
	}
	return n
}

// wantHistory demands that the wait for Postgres was one of the server and not of a workflow task that is kept alive.
func (o *outage) wantHistory(t *testing.T, i *interrupted) {
	t.Helper()
	history := o.Temporal.GetWorkflowHistory(t.Context(), workflows.RunWorkflowID(i.x.ID, i.ID), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var types []enums.EventType
	for history.HasNext() {
		e, err := history.Next()
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, e.GetEventType())
	}
	timers := 0
	for _, typ := range types {
		if typ == enums.EVENT_TYPE_TIMER_STARTED {
			timers++
		}
	}
	if i.asks {
		timers-- // of the answer
	}
	if i.local && timers < 1 {
		t.Errorf("%s: the record did not wait at the server: %v", i.name, types)
	}
}
