package integration

import (
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// Temporal does not answer a worker for some seconds, as long as nobody has given the worker up: the
// answer that streams goes on. To begin it again would cost its tokens twice.
func TestAPauseOfTemporalDisturbsNoAnswer(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Text: "It is all the same to me.", Gated: true}})
	cfg, _, temporal := s.Behind(t)
	x := s.Start(t, app.Options{API: true}).NewTenant(t, agents.Config{})
	s.StartWith(t, cfg, app.Options{Worker: true})
	r := x.StartRun(t, `{"input": "hello"}`)
	follower := x.Follow(t, r.ID, 0)
	s.Model.Release(1)
	follower.Until(t, event.MessageDelta)
	temporal.Stall()
	<-time.After(4 * time.Second) // the length of the pause is what is tested
	temporal.Heal(t)
	s.Model.Release(100)
	follower.Rest(t)
	events := wholeLog(t, x, r.ID)
	if last(events).Type != event.RunCompleted || len(only(events, event.AttemptRestarted)) != 0 {
		t.Errorf("the log is %v", harness.Types(events))
	}
	if st := s.Model.Stats(); st.Requests != 1 || st.Disconnects != 0 {
		t.Errorf("the model was asked %d times and left alone %d times", st.Requests, st.Disconnects)
	}
}
