package integration

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// said gives a thread's messages as "role: text".
func said(t *testing.T, x *harness.Tenant, thread uuid.UUID) []string {
	t.Helper()
	var page struct {
		Items []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"items"`
	}
	x.Do(t, "GET", "/v1/threads/"+thread.String()+"/messages", nil).Want(t, 200, &page)
	var all []string
	for _, m := range page.Items {
		all = append(all, m.Role+": "+m.Content)
	}
	return all
}

func TestAThreadIsRemembered(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Rules: []fakellm.Rule{
		{Contains: "my name is", Reply: says("Hello Ada.")},
		{Contains: "what is my name", Reply: says("You are Ada.")},
		{Contains: "wrong", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}},
		{Contains: "story", Reply: endless()},
	}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{Instructions: "Be brief."})
	var thread struct {
		ID uuid.UUID `json:"id"`
	}
	x.Do(t, "POST", "/v1/threads", `{"title": "names"}`).Want(t, 201, &thread)
	start := func(input string) harness.Run {
		t.Helper()
		return x.StartRun(t, map[string]any{"input": input, "thread_id": thread.ID})
	}
	first := start("my name is Ada")
	wholeLog(t, x, first.ID)
	wholeLog(t, x, start("this goes wrong").ID)
	second := start("what is my name?")
	wholeLog(t, x, second.ID)
	if r := x.FindRun(t, second.ID); r.Status != "completed" || *r.Output != "You are Ada." {
		t.Errorf("the run is %+v", r)
	}
	want := []string{"system: Be brief.", "user: my name is Ada", "assistant: Hello Ada.", "user: this goes wrong", "user: what is my name?"}
	if got := texts(t, s, 2); !slices.Equal(got, want) {
		t.Errorf("the model was shown %q, want %q", got, want)
	}
	if got, want := said(t, x, thread.ID), append(want[1:], "assistant: You are Ada."); !slices.Equal(got, want) {
		t.Errorf("the thread holds %q, want %q", got, want)
	}

	// One run at a time.
	busy := start("a story")
	follower := x.Follow(t, busy.ID, 0)
	follower.Until(t, event.MessageDelta)
	second1 := fmt.Sprintf(`{"input": "and me?", "thread_id": %q}`, thread.ID)
	x.Do(t, "POST", "/v1/runs", second1).WantProblem(t, 409, "thread_busy")
	x.Do(t, "DELETE", "/v1/threads/"+thread.ID.String(), nil).WantProblem(t, 409, "thread_busy")
	if got := said(t, x, thread.ID); got[len(got)-1] != "user: a story" {
		t.Errorf("a refused run left its words: %q", got)
	}
	cancel(t, x, busy.ID, "")
	follower.Rest(t)
	if got := said(t, x, thread.ID); got[len(got)-1] != "user: a story" {
		t.Errorf("a cancelled run answered: %q", got)
	}
	wholeLog(t, x, start("my name is Bea").ID)

	// Runs outlive their thread.
	x.Do(t, "DELETE", "/v1/threads/"+thread.ID.String(), nil).Want(t, 204)
	x.Do(t, "GET", "/v1/threads/"+thread.ID.String(), nil).WantProblem(t, 404, "not_found")
	if r := x.FindRun(t, first.ID); r.Status != "completed" || r.ThreadID != nil {
		t.Errorf("the run is %+v", r)
	}
	wholeLog(t, x, first.ID)
	x.Do(t, "POST", "/v1/runs", second1).WantProblem(t, 422, "validation_failed")
}

// Of ten runs that begin at once on one thread one is taken.
func TestAThreadTakesOneRun(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: endless()})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	var thread struct {
		ID uuid.UUID `json:"id"`
	}
	x.Do(t, "POST", "/v1/threads", `{}`).Want(t, 201, &thread)
	body := fmt.Sprintf(`{"input": "a story", "thread_id": %q}`, thread.ID)
	p.NewTenant(t, agents.Config{}).Do(t, "POST", "/v1/runs", body).WantProblem(t, 422, "validation_failed")
	answers := make(chan int, 10)
	for range cap(answers) {
		go func() {
			a, err := x.Try(t.Context(), "POST", "/v1/runs", body)
			if err != nil {
				t.Error(err)
			}
			answers <- a.Status
		}()
	}
	taken := 0
	for range cap(answers) {
		switch status := <-answers; status {
		case 202:
			taken++
		case 409:
		default:
			t.Errorf("status %d", status)
		}
	}
	if got := said(t, x, thread.ID); taken != 1 || len(got) != 1 {
		t.Errorf("%d runs were taken, the thread holds %q", taken, got)
	}
}
