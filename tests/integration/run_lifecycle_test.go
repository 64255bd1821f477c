package integration

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/sdk/v1"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/connectors/webhook"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
	"github.com/larirun/lari/workflows"
)

// receiver takes webhooks. While it is down it answers 503.
type receiver struct {
	URL      string
	took     chan hook
	attempts atomic.Int32
	down     atomic.Bool
}

type hook struct {
	header  http.Header
	body    []byte
	message webhook.Message
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{took: make(chan hook, 64)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.attempts.Add(1)
		body, err := io.ReadAll(req.Body)
		h := hook{header: req.Header.Clone(), body: body}
		if err := errors.Join(err, json.Unmarshal(body, &h.message)); err != nil {
			t.Errorf("the webhook cannot be read: %v", err)
		}
		if r.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.took <- h
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

func (r *receiver) next(t *testing.T) hook {
	t.Helper()
	select {
	case h := <-r.took:
		return h
	case <-time.After(within):
		t.Fatal("no webhook came")
		return hook{}
	}
}

const alertsSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" //nolint:gosec // G101: of the test

// alerting is a system whose alerts go to a receiver.
func alerting(t *testing.T, rules ...fakellm.Rule) (*harness.System, *receiver) {
	t.Helper()
	r := newReceiver(t)
	s := harness.NewSystem(t, rules...)
	s.Config.AlertsWebhookURL, s.Config.AlertsWebhookSecret = config.NewURL(r.URL), config.NewSecret(alertsSecret)
	return s, r
}

func TestAlertsTellHowRunsEnd(t *testing.T) {
	t.Parallel()
	s, alerts := alerting(t,
		fakellm.Rule{Contains: "wrong", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}}, fakellm.Rule{Contains: "story", Reply: endless()})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	verifier, err := standardwebhooks.NewWebhook(alertsSecret)
	must(t, err)
	for input, want := range map[string]event.Type{"hello": event.RunCompleted, "this is wrong": event.RunError} {
		r := x.StartRun(t, map[string]any{"input": input, "metadata": map[string]string{"order": input}})
		events := wholeLog(t, x, r.ID)
		h := alerts.next(t)
		must(t, verifier.Verify(h.body, h.header))
		if err := verifier.Verify(append(slices.Clone(h.body), ' '), h.header); err == nil {
			t.Error("the signature holds for another body")
		}
		m := h.message
		if m.Type != want || m.Data.RunID != r.ID || m.Data.TenantID != x.ID || m.Data.Seq != last(events).Seq || !m.Timestamp.Equal(last(events).At.Time) {
			t.Errorf("told %s", h.body)
		}
		var told, logged any
		must(t, json.Unmarshal(m.Data.Event, &told))
		must(t, json.Unmarshal(last(events).Data, &logged))
		if !strings.Contains(string(h.body), input) || string(encodeAny(t, told)) != string(encodeAny(t, logged)) {
			t.Errorf("told %s, the log says %s", m.Data.Event, last(events).Data)
		}
		if got, want := h.header.Get("webhook-id"), r.ID.String()+":"; !strings.HasPrefix(got, want) {
			t.Errorf("the id is %q", got)
		}
	}
	// A cancel is nobody's alert: no delivery was even begun.
	r := x.StartRun(t, `{"input": "a story"}`)
	x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
	cancel(t, x, r.ID, "")
	wholeLog(t, x, r.ID)
	_ = s.Temporal.GetWorkflow(soon(t), workflows.RunWorkflowID(x.ID, r.ID), "").Get(soon(t), nil) // what is announced has been announced
	var posted int
	must(t, s.Database.Conn(t).QueryRow(t.Context(), `select count(*) from deliveries where run_id = $1`, r.ID).Scan(&posted))
	if posted != 0 {
		t.Errorf("there are %d deliveries for a cancelled run", posted)
	}
	if n := alerts.attempts.Load(); n != 2 {
		t.Errorf("%d webhooks, want 2", n)
	}
}

func encodeAny(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return data
}

// A receiver that is away costs the run nothing and gets the news when it is back.
func TestAReceiverThatIsDown(t *testing.T) {
	t.Parallel()
	s, alerts := alerting(t)
	alerts.down.Store(true)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	watch := pace.Start(t)
	r := x.StartRun(t, `{"input": "hello"}`)
	wholeLog(t, x, r.ID)
	if took := watch.Took(); took > 10*time.Second {
		t.Errorf("the run took %s", took)
	}
	harness.Eventually(t, within, "the receiver was tried twice", func() bool { return alerts.attempts.Load() >= 2 })
	// The delivery outlives the run and the process.
	must(t, ignoreCancel(p.Stop()))
	alerts.down.Store(false)
	s.Start(t, harness.All)
	if h := alerts.next(t); h.message.Data.RunID != r.ID || h.message.Type != event.RunCompleted {
		t.Errorf("told %s", h.body)
	}
}

func TestARunMayNameAReceiver(t *testing.T) {
	t.Parallel()
	own := newReceiver(t)
	s, alerts := alerting(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, map[string]string{"input": "hello", "webhook_url": own.URL + "/here"})
	if h := own.next(t); h.message.Data.RunID != r.ID || h.header.Get("webhook-id") == "" {
		t.Errorf("told %s", h.body)
	}
	alerts.next(t)
	for url, status := range map[string]int{
		"http://10.0.0.1/": 403, "http://169.254.169.254/": 403, "ftp://example.com": 422, "nonsense": 422, "http://user:pw@example.com": 422,
	} {
		x.Do(t, "POST", "/v1/runs", map[string]string{"input": "hello", "webhook_url": url}).Want(t, status)
	}
}

// auditRow is what an auditor sees.
type auditRow struct{ Actor, Action, Outcome string }

func auditRows(t *testing.T, s *harness.System, run uuid.UUID) []auditRow {
	t.Helper()
	rows, err := s.Database.Conn(t).Query(t.Context(),
		`select actor, action, outcome from audit_logs where resource_type = 'run' and resource_id = $1 and action like 'run.%' order by position`, run.String())
	must(t, err)
	defer rows.Close()
	var all []auditRow
	for rows.Next() {
		var r auditRow
		must(t, rows.Scan(&r.Actor, &r.Action, &r.Outcome))
		all = append(all, r)
	}
	must(t, rows.Err())
	return all
}

// summary is the compact record of an ended run.
type summary struct {
	Steps      int   `json:"steps"`
	ToolCalls  int   `json:"tool_calls"`
	QueuedMS   int64 `json:"queued_ms"`
	DurationMS int64 `json:"duration_ms"`
}

func TestTheTrailHasOneStartAndOneEnd(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "wrong", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}}, fakellm.Rule{Contains: "story", Reply: endless()},
		fakellm.Rule{Contains: "compute", Turn: fakellm.FirstTurn, Reply: calls("calculator", `{"expression":"6*7"}`)})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools("calculator"))
	for input, want := range map[string]struct {
		end     auditRow
		summary summary
	}{
		"compute this":  {auditRow{actor, "run.complete", "success"}, summary{Steps: 2, ToolCalls: 1}},
		"this is wrong": {auditRow{actor, "run.error", "failure"}, summary{}},
		"a story":       {auditRow{actor, "run.cancel", "cancelled"}, summary{Steps: 1}},
	} {
		r := x.StartRun(t, map[string]string{"input": input})
		if input == "a story" {
			x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
			cancel(t, x, r.ID, "")
		}
		wholeLog(t, x, r.ID)
		trail := []auditRow{{actor, "run.start", "success"}, want.end}
		// The log ends before its last event is announced.
		harness.Eventually(t, within, "the end of "+input+" is in the trail", func() bool { return len(auditRows(t, s, r.ID)) == len(trail) })
		// An answer that was lost makes Temporal record and announce again.
		ctx := x.Context(t.Context())
		_, err := p.App.Runs.Started(ctx, r.ID)
		must(t, err)
		_, err = p.App.Runs.Finished(ctx, r.ID, runs.Outcome{Status: runs.Failed, Code: event.ErrorInternal})
		must(t, err)
		if got := auditRows(t, s, r.ID); !slices.Equal(got, trail) {
			t.Errorf("%s: the trail is %v, want %v", input, got, trail)
		}
		var data []byte
		must(t, s.Database.Conn(t).QueryRow(t.Context(), `select summary from agent_runs where id = $1`, r.ID).Scan(&data))
		var got summary
		must(t, json.Unmarshal(data, &got))
		if got.Steps != want.summary.Steps || got.ToolCalls != want.summary.ToolCalls || got.DurationMS < 0 || got.QueuedMS < 0 {
			t.Errorf("%s: the summary is %s, want %+v", input, data, want.summary)
		}
	}
}

// mad is a connector that panics whatever it is told, inline or remote.
type mad struct {
	mode  connectors.Mode
	calls atomic.Int32
}

func (m *mad) Name() string                  { return []string{"mad-remote", "mad-inline"}[m.mode] }
func (m *mad) Mode() connectors.Mode         { return m.mode }
func (m *mad) Wants(e connectors.Event) bool { return e.Type.Hook() != event.HookNone }

func (m *mad) OnStart(context.Context, connectors.Event) error { m.calls.Add(1); panic("start") }

func (m *mad) OnProgress(context.Context, connectors.Event) error { m.calls.Add(1); panic("progress") }

func (m *mad) OnComplete(context.Context, connectors.Event) error { m.calls.Add(1); panic("complete") }

func (m *mad) OnError(context.Context, connectors.Event) error { m.calls.Add(1); panic("error") }

func (m *mad) OnCancel(_ context.Context, _ connectors.Event) error { m.calls.Add(1); panic("cancel") }

func TestAConnectorThatPanicsHurtsNobody(t *testing.T) {
	t.Parallel()
	s, alerts := alerting(t)
	inline, remote := &mad{mode: connectors.Inline}, &mad{mode: connectors.Remote}
	o := harness.All
	o.Connectors = []connectors.RuntimeConnector{inline, remote}
	x := s.Start(t, o).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	if events := wholeLog(t, x, r.ID); last(events).Type != event.RunCompleted {
		t.Errorf("the run ended with %s", last(events).Data)
	}
	if h := alerts.next(t); h.message.Data.RunID != r.ID {
		t.Errorf("told %s", h.body)
	}
	harness.Eventually(t, within, "both were told", func() bool { return inline.calls.Load() > 0 && remote.calls.Load() > 0 })
}

// One step costs at most sixteen events of history, and texts are none of them.
func TestHistoryStaysSmall(t *testing.T) {
	t.Parallel()
	const secret = "xyzzyplugh"
	s := harness.NewSystem(t, fakellm.Rule{Reply: says("The word is " + secret + ".")})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "what about `+secret+`?"}`)
	wholeLog(t, x, r.ID)
	id := workflows.RunWorkflowID(x.ID, r.ID)
	must(t, s.Temporal.GetWorkflow(soon(t), id, "").Get(soon(t), nil))
	history := s.Temporal.GetWorkflowHistory(t.Context(), id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var types []string
	for history.HasNext() {
		e, err := history.Next()
		must(t, err)
		types = append(types, e.GetEventType().String())
		if strings.Contains(e.String(), secret) {
			t.Errorf("event %d holds what was said: %s", e.GetEventId(), e)
		}
	}
	t.Logf("%d events: %s", len(types), strings.Join(types, " "))
	if len(types) > 16 {
		t.Errorf("%d events for one step: %v", len(types), types)
	}
	if got := findExecution(t, x, r.ID); got.HistoryEvents != int64(len(types)) {
		t.Errorf("the API speaks of %d events, there are %d", got.HistoryEvents, len(types))
	}
}

func TestWhatTheTemporalUIShows(t *testing.T) {
	t.Parallel()
	s := computing(t)
	x := s.Start(t, harness.All).NewTenant(t, asking("calculator", 3600))
	r, a, follower := ask(t, x, "compute")
	var row struct {
		AgentID uuid.UUID `json:"agent_id"`
	}
	x.Do(t, "GET", path(r.ID, ""), nil).Want(t, 200, &row)
	for name, want := range map[string]string{"TenantId": x.ID.String(), "AgentId": row.AgentID.String(), "TriggerKind": "api", "RunStatus": "waiting"} {
		harness.Eventually(t, within, name+" is "+want, func() bool { return attribute(t, s, x, r.ID, name) == want })
	}
	id := workflows.RunWorkflowID(x.ID, r.ID)
	value, err := s.Temporal.QueryWorkflow(soon(t), id, "", "__temporal_workflow_metadata")
	must(t, err)
	var shown sdk.WorkflowMetadata
	must(t, value.Get(&shown))
	if got := shown.GetCurrentDetails(); got != "**Step 1**: waiting for approval of `calculator`" {
		t.Errorf("the details are %q", got)
	}
	x.Do(t, "POST", answerPath(r, a), `{"decision":"approve"}`).Want(t, 200)
	follower.Rest(t)
	wantStatus(t, s, x, r.ID, runs.Completed)
}
