package webhooks

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// Every lifecycle event of the log reaches an endpoint that wants all, once, with a signature.
func TestAllFiveHooks(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "wrong", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}},
		fakellm.Rule{Contains: "story", Reply: fakellm.Reply{Words: 4000, Delay: 20 * time.Millisecond}},
		fakellm.Rule{Contains: "compute", Turn: fakellm.FirstTurn, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: "calculator", Arguments: `{"expression":"6*7"}`}}}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator"}}})
	r := newReceiver(t)
	e := register(t, x, r.URL, map[string]any{"events": allEvents})
	for input, end := range map[string]event.Type{"compute it": event.RunCompleted, "this is wrong": event.RunError, "a story": event.RunCancelled} {
		run := x.StartRun(t, map[string]any{"input": input, "metadata": map[string]string{"order": input}})
		if end == event.RunCancelled {
			x.Follow(t, run.ID, 0).Until(t, event.MessageDelta)
			x.Do(t, "POST", "/v1/runs/"+run.ID.String()+"/cancel", `{}`).Want(t, 202)
		}
		logged := map[int64]event.Event{}
		for _, ev := range x.Follow(t, run.ID, 0).Rest(t) {
			if ev.Type.Hook() != event.HookNone {
				logged[ev.Seq] = ev
			}
		}
		if end == event.RunCompleted && len(logged) < 6 {
			t.Errorf("only %d lifecycle events", len(logged))
		}
		seen := map[event.Type]int{}
		for range len(logged) {
			got := r.next(t)
			got.verify(t, []string{e.Secret})
			m := got.message
			want, ok := logged[m.Data.Seq]
			if !ok || m.Type != want.Type || m.Data.RunID != run.ID || m.Data.TenantID != x.ID || !m.Timestamp.Equal(want.At.Time) || !strings.Contains(string(m.Data.Metadata), input) {
				t.Errorf("told %s", got.body)
			}
			if same(t, m.Data.Event) != same(t, want.Data) {
				t.Errorf("told %s, the log says %s", m.Data.Event, want.Data)
			}
			delete(logged, m.Data.Seq)
			seen[m.Type]++
		}
		if seen[event.RunStarted] != 1 || seen[end] != 1 {
			t.Errorf("told %v", seen)
		}
		harness.Eventually(t, within, "the log says delivered", func() bool {
			all := deliveries(t, x, e, "?run_id="+run.ID.String())
			return len(all) > 0 && !slices.ContainsFunc(all, func(d delivery) bool { return d.Status != "delivered" || d.Attempts != 1 })
		})
	}
	if len(deliveries(t, x, e, "?status=failed&status=refused&status=pending")) != 0 {
		t.Error("some deliveries were not made")
	}
}

// same gives JSON in a form that can be compared.
func same(t *testing.T, data json.RawMessage) string {
	t.Helper()
	var v any
	must(t, json.Unmarshal(data, &v))
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}

func TestFiltersAndHeaders(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	x.Do(t, "POST", "/v1/agents", `{"slug": "other", "name": "Other"}`).Want(t, 201)
	r := newReceiver(t)
	only := register(t, x, r.URL+"/other", map[string]any{
		"agent": "other", "events": []string{"run_completed"}, "fields": []string{"steps", "usage"}, "headers": map[string]string{"Authorization": "Bearer hush", "X-Team": "blue"},
	})
	errorsOnly := register(t, x, r.URL+"/errors", map[string]any{"events": []string{"run_error"}})
	disabled := register(t, x, r.URL+"/disabled", nil)
	x.Do(t, "POST", disabled.path("/disable"), nil).Want(t, 200)
	complete(t, x, `{"input": "hello"}`)
	run := complete(t, x, `{"input": "hello", "agent": "other"}`)
	got := r.next(t)
	got.verify(t, []string{only.Secret}, errorsOnly.Secret)
	var sent map[string]json.RawMessage
	must(t, json.Unmarshal(got.message.Data.Event, &sent))
	if got.message.Data.RunID != run || !slices.Equal(slices.Sorted(maps.Keys(sent)), []string{"steps", "usage"}) {
		t.Errorf("told %s", got.body)
	}
	if got.header.Get("Authorization") != "Bearer hush" || got.header.Get("X-Team") != "blue" {
		t.Errorf("the headers are %v", got.header)
	}
	// What the outbox did not take will never be sent.
	if n := len(deliveries(t, x, only, "")); n != 1 || len(deliveries(t, x, errorsOnly, "")) != 0 || len(deliveries(t, x, disabled, "")) != 0 {
		t.Errorf("%d deliveries to the one that wanted one", n)
	}
	shown := string(x.Do(t, "GET", "/v1/webhooks", nil).Body)
	if strings.Contains(shown, "hush") || strings.Contains(shown, only.Secret) || !strings.Contains(shown, `"Authorization":"********"`) {
		t.Errorf("shown: %s", shown)
	}
}

func TestRotationOverlaps(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := newReceiver(t)
	first := register(t, x, r.URL, nil)
	var second, third endpoint
	x.Do(t, "POST", first.path("/rotate-secret"), nil).Want(t, 201, &second)
	complete(t, x, `{"input": "hello"}`)
	r.next(t).verify(t, []string{first.Secret, second.Secret})
	x.Do(t, "POST", first.path("/rotate-secret"), `{"overlap_seconds": 0}`).Want(t, 201, &third)
	complete(t, x, `{"input": "hello"}`)
	r.next(t).verify(t, []string{third.Secret}, first.Secret, second.Secret)
	if first.Secret == second.Secret || third.Secret == second.Secret || len(third.Secrets) != 1 || len(second.Secrets) != 2 {
		t.Errorf("the secrets are not new: %+v %+v", second.Secrets, third.Secrets)
	}
	x.Do(t, "POST", first.path("/rotate-secret"), `{"overlap_seconds": 604801}`).WantProblem(t, 422, "validation_failed")
	x.Do(t, "POST", first.path("/rotate-secret"), `{"overlap_seconds": -1}`).WantProblem(t, 422, "validation_failed")
}

func TestRedelivery(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := newReceiver(t)
	e := register(t, x, r.URL, nil)
	complete(t, x, `{"input": "hello"}`)
	first := r.next(t)
	d := settled(t, s, x, e, "delivered")
	if d.Attempts != 1 || len(d.Log) != 1 || *d.Log[0].StatusCode != 200 || d.Log[0].Response != "as you say" {
		t.Errorf("the delivery is %+v", d)
	}
	again := e.path("/deliveries/" + d.ID.String() + "/redeliver")
	x.Do(t, "POST", e.path("/disable"), nil).Want(t, 200)
	x.Do(t, "POST", again, nil).WantProblem(t, 409, "conflict")
	x.Do(t, "POST", e.path("/enable"), `{}`).Want(t, 200)
	r.status.Store(500)
	x.Do(t, "POST", again, nil).Want(t, 202)
	harness.Eventually(t, within, "it was tried again", func() bool { return r.requests.Load() >= 2 })
	x.Do(t, "POST", again, nil).WantProblem(t, 409, "conflict")
	r.status.Store(200)
	second := r.next(t)
	if second.header.Get("webhook-id") != first.header.Get("webhook-id") || string(second.body) != string(first.body) {
		t.Errorf("the first time %s %s, then %s %s", first.header.Get("webhook-id"), first.body, second.header.Get("webhook-id"), second.body)
	}
	if d = settled(t, s, x, e, "delivered"); d.Attempts < 3 || d.Log[0].N != d.Attempts || *d.Log[1].StatusCode != 500 {
		t.Errorf("the delivery is %+v", d)
	}
}
