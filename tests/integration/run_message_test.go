package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

func TestAMessageIsShownAtTheNextStep(t *testing.T) {
	t.Parallel()
	ask := calls("calculator", `{"expression":"6*7"}`)
	ask.Gated = true
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
		{Contains: "in French", Reply: says("Quarante-deux.")}, {Turn: fakellm.FirstTurn, Reply: ask}, {Reply: says("Forty two.")},
	}})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools("calculator"))
	r := x.StartRun(t, `{"input": "compute"}`)
	must(t, s.Model.WaitRequests(soon(t), 1))
	key := uuid.NewString()
	for range 2 {
		x.Do(t, "POST", path(r.ID, "/messages"), `{"content": "in French, please"}`, "Idempotency-Key", key).Want(t, 202)
	}
	s.Model.Release(100)
	events := wholeLog(t, x, r.ID)
	received := only(events, event.MessageReceived)
	if len(received) != 1 || harness.Payload[event.Received](t, received[0]).Text != "in French, please" {
		t.Errorf("received %v", received)
	}
	want := []string{"user: compute", "assistant: ", "tool: 42", "user: in French, please"}
	if got := texts(t, s, 1); !slices.Equal(got, want) {
		t.Errorf("the model was shown %q, want %q", got, want)
	}
	if r = x.FindRun(t, r.ID); *r.Output != "Quarante-deux." {
		t.Errorf("the output is %q", *r.Output)
	}
	x.Do(t, "POST", path(r.ID, "/messages"), `{"content": "thank you"}`).WantProblem(t, 409, "run_final")
	x.Do(t, "POST", path(r.ID, "/messages"), `{"content": ""}`).WantProblem(t, 422, "validation_failed")
	p.NewTenant(t, agents.Config{}).Do(t, "POST", path(r.ID, "/messages"), `{"content": "hello"}`).WantProblem(t, 404, "not_found")
}

// The answer is not the last word when somebody spoke while it was given.
func TestAMessageWhileTheAnswerStreams(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
		{Contains: "in French", Reply: says("Quarante-deux.")}, {Reply: fakellm.Reply{Text: "It is forty two.", Gated: true}},
	}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "compute"}`)
	follower := x.Follow(t, r.ID, 0)
	s.Model.Release(1)
	follower.Until(t, event.MessageDelta)
	x.Do(t, "POST", path(r.ID, "/messages"), `{"content": "in French, please"}`).Want(t, 202)
	s.Model.Release(100)
	follower.Rest(t)
	events := wholeLog(t, x, r.ID)
	var said []string
	for _, e := range only(events, event.MessageCompleted) {
		said = append(said, harness.Payload[event.Message](t, e).Text)
	}
	if want := []string{"It is forty two.", "Quarante-deux."}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
	want := []string{"user: compute", "assistant: It is forty two.", "user: in French, please"}
	if got := texts(t, s, 1); !slices.Equal(got, want) {
		t.Errorf("the model was shown %q, want %q", got, want)
	}
	if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != "Quarante-deux." {
		t.Errorf("the run is %+v", r)
	}
}

// What is said while no worker runs is shown with the first step, in the order in which it was said.
func TestMessagesInTheQueue(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Default: says("Fine.")})
	x := s.Start(t, app.Options{API: true}).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "compute"}`)
	for _, word := range []string{"one", "two", "three"} {
		x.Do(t, "POST", path(r.ID, "/messages"), map[string]string{"content": word}).Want(t, 202)
	}
	s.Start(t, app.Options{Worker: true})
	events := wholeLog(t, x, r.ID)
	if n := len(only(events, event.MessageReceived)); n != 3 || last(events).Type != event.RunCompleted {
		t.Fatalf("the log is %v", harness.Types(events))
	}
	if got := strings.Join(texts(t, s, 0), "|"); got != "user: compute|user: one|user: two|user: three" {
		t.Errorf("the model was shown %q", got)
	}
}
