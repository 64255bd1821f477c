package integration

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
	"github.com/larirun/lari/workflows"
)

// actor is who the tokens of the tests are.
const actor = "tester"

// within bounds what should happen soon; it is long because machines are busy.
const within = 30 * time.Second

// says and calls are replies of the model.
func says(text string) fakellm.Reply { return fakellm.Reply{Text: text} }

func calls(tool, arguments string) fakellm.Reply {
	return fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: tool, Arguments: arguments}}}
}

// endless streams a word every few milliseconds, for longer than any test runs.
func endless() fakellm.Reply { return fakellm.Reply{Words: 4_000, Delay: 20 * time.Millisecond} }

func withTools(names ...string) agents.Config {
	var c agents.Config
	for _, name := range names {
		c.Tools = append(c.Tools, agents.ToolRef{Name: name})
	}
	return c
}

// asking is an agent whose tool needs approval.
func asking(tool string, ttl int) agents.Config {
	return agents.Config{Tools: []agents.ToolRef{{Name: tool, NeedsApproval: true}}, ApprovalTTLSeconds: ttl}
}

func last(events []event.Event) event.Event { return events[len(events)-1] }

// only gives the events of one type.
func only(events []event.Event, typ event.Type) []event.Event {
	var found []event.Event
	for _, e := range events {
		if e.Type == typ {
			found = append(found, e)
		}
	}
	return found
}

// wholeLog reads a run's log from beginning to end, also if it has not ended yet.
func wholeLog(t testing.TB, x *harness.Tenant, id uuid.UUID) []event.Event {
	t.Helper()
	events := x.Follow(t, id, 0).Rest(t)
	harness.WantWhole(t, events)
	return events
}

func path(id uuid.UUID, rest string) string { return "/v1/runs/" + id.String() + rest }

// soon bounds a wait of the test for the model server.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), pace.Patience*within)
	t.Cleanup(stop)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hanging is a server that answers nothing; came and left tell of its visitors.
type hanging struct {
	URL        string
	came, left chan struct{}
}

func newHanging(t testing.TB) *hanging {
	t.Helper()
	h := &hanging{came: make(chan struct{}, 16), left: make(chan struct{}, 16)}
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.came <- struct{}{}
		select {
		case <-r.Context().Done():
			h.left <- struct{}{}
		case <-over:
		}
	}))
	h.URL = server.URL
	t.Cleanup(func() {
		close(over)
		server.Close()
	})
	return h
}

func wait(t testing.TB, what string, signal <-chan struct{}) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(within):
		t.Fatalf("not within %s: %s", within, what)
	}
}

// execution is the engine's view of a run.
type execution struct {
	Status            string `json:"status"`
	HistoryEvents     int64  `json:"history_events"`
	PendingActivities []struct {
		Attempt     int32  `json:"attempt"`
		LastFailure string `json:"last_failure"`
	} `json:"pending_activities"`
}

func findExecution(t testing.TB, x *harness.Tenant, id uuid.UUID) execution {
	t.Helper()
	var e execution
	x.Do(t, "GET", "/v1/runtime/runs/"+id.String(), nil).Want(t, 200, &e)
	return e
}

// deaf is an engine that does not hear: as if the process died before it spoke to Temporal.
type deaf struct{ runs.Engine }

var errDeaf = fault.Wrap(errors.New("told to"), fault.Unavailable, "the engine does not hear")

func (deaf) CancelRun(context.Context, uuid.UUID, uuid.UUID) error { return errDeaf }

func (deaf) SignalApproval(context.Context, uuid.UUID, uuid.UUID, uuid.UUID) error { return errDeaf }

// forgetful gives the runs of a process whose engine does not hear, and one whose dispatcher looks after
// that at once.
func forgetful(p *harness.Process) (broken, dispatching *runs.Service) {
	d := p.App.Runs.Deps
	d.DispatchIn = time.Nanosecond
	dispatching = runs.NewService(d)
	d.Engine = deaf{d.Engine}
	return runs.NewService(d), dispatching
}

// shown gives the messages of a request to the model.
type shown struct {
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
}

// texts gives what the model was shown in its n-th request, as "role: text".
func texts(t testing.TB, s *harness.System, n int) []string {
	t.Helper()
	records := s.Model.Records()
	if len(records) <= n {
		t.Fatalf("the model got %d requests, wanted the one with index %d", len(records), n)
	}
	var body shown
	must(t, json.Unmarshal(records[n].Body, &body))
	var all []string
	for _, m := range body.Messages {
		var text string
		if err := json.Unmarshal(m.Content, &text); err != nil {
			text = string(m.Content)
		}
		all = append(all, m.Role+": "+text)
	}
	return all
}

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// attribute gives a search attribute of a run's latest execution.
func attribute(t testing.TB, s *harness.System, x *harness.Tenant, id uuid.UUID, name string) string {
	t.Helper()
	d, err := s.Temporal.DescribeWorkflowExecution(t.Context(), workflows.RunWorkflowID(x.ID, id), "")
	must(t, err)
	field := d.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()[name]
	if field == nil {
		return ""
	}
	var value string
	must(t, json.Unmarshal(field.GetData(), &value))
	return value
}

// wantStatus demands what Temporal's search attribute says of the run.
func wantStatus(t testing.TB, s *harness.System, x *harness.Tenant, id uuid.UUID, want runs.Status) {
	t.Helper()
	harness.Eventually(t, within, "Temporal says that the run is "+string(want), func() bool {
		return attribute(t, s, x, id, workflows.RunStatus.GetName()) == string(want)
	})
}
