package integration

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

func onThread(thread uuid.UUID, input, onBusy string) map[string]any {
	return map[string]any{"input": input, "thread_id": thread, "on_busy": onBusy}
}

// A message that was sent into a run is a part of the conversation that the next run is shown.
func TestThread_KeepsMessagesSentIntoARun(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
		{Contains: "in French", Reply: says("Quarante-deux.")}, {Reply: fakellm.Reply{Text: "It is forty two.", Gated: true}},
	}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	thread := newThread(t, x)
	r := start(t, x, onThread(thread, "compute", "reject"))
	follower := x.Follow(t, r.ID, 0)
	s.Model.Release(1)
	follower.Until(t, event.MessageDelta)
	x.Do(t, "POST", path(r.ID, "/messages"), `{"content": "in French, please"}`).Want(t, 202)
	s.Model.Release(100)
	wholeLog(t, x, r.ID)
	want := []string{"user: compute", "user: in French, please", "assistant: Quarante-deux."}
	if got := said(t, x, thread); !slices.Equal(got, want) {
		t.Errorf("the thread holds %q, want %q", got, want)
	}
}

// Runs that wait for their turn are interrupted one after the other: what each was asked is on the thread once, in
// the order in which it came. One that its user stopped never came to the thread.
func TestInterrupt_KeepsEachWaitingMessageOnce(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{Rules: []fakellm.Rule{{Contains: "long", Reply: endless()}}, Default: says("Well.")})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	thread := newThread(t, x)
	running := start(t, x, onThread(thread, "a long one", "reject"))
	x.Follow(t, running.ID, 0).Until(t, event.MessageDelta)
	stopped := start(t, x, onThread(thread, "stopped", "enqueue"))
	x.Do(t, "POST", path(stopped.ID, "/cancel"), `{}`).Want(t, 200)
	start(t, x, onThread(thread, "one", "enqueue"))
	start(t, x, onThread(thread, "two", "interrupt"))
	start(t, x, onThread(thread, "three", "interrupt"))
	final := start(t, x, onThread(thread, "four", "interrupt"))
	wholeLog(t, x, final.ID)
	got := slices.DeleteFunc(said(t, x, thread), func(m string) bool { return m == "assistant: Well." }) // of those that began meanwhile
	if want := []string{"user: a long one", "user: one", "user: two", "user: three", "user: four"}; !slices.Equal(got, want) {
		t.Errorf("the thread holds %q, want %q", got, want)
	}
}
