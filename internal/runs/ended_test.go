package runs_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
)

// fated is an engine that says what became of every workflow.
type fated struct {
	idle
	fate runs.Fate
}

func (f *fated) FindFate(context.Context, uuid.UUID, uuid.UUID) (runs.Fate, error) {
	return f.fate, nil
}

// unwatched ignores what the reconciler finds.
type unwatched struct{}

func (unwatched) Passed(bool)            {}
func (unwatched) Reconciled(runs.Ending) {}
func (unwatched) EndTold()               {}

// fateFixture is a run of one tenant and the engine's word on its workflow.
type fateFixture struct {
	*rig
	t      *testing.T
	ctx    context.Context
	engine *fated
	id     uuid.UUID
}

func newFateFixture(t *testing.T) *fateFixture {
	t.Helper()
	f := &fateFixture{rig: newRig(t), t: t, engine: &fated{}}
	d := f.Deps
	d.Engine, d.Observer = f.engine, unwatched{}
	f.Service = runs.NewService(d)
	var tenant uuid.UUID
	f.ctx, tenant = f.db.Tenant(t, "a")
	f.id = emptyRuns(t, f.db, tenant, 1)[0]
	return f
}

func (f *fateFixture) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := f.db.Conn(f.t).Exec(f.ctx, sql, args...); err != nil {
		f.t.Fatal(err)
	}
}

// settle lets the engine say the fate and returns the run as it is then.
func (f *fateFixture) settle(fate runs.Fate) runs.Run {
	f.t.Helper()
	f.engine.fate = fate
	if err := f.Settle(f.ctx, f.id); err != nil {
		f.t.Fatal(err)
	}
	r, err := f.Find(f.ctx, f.id)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// record records a step and asks for approval of its first call, if it has one.
func (f *fateFixture) record(calls ...runs.ToolCall) (asked runs.Approval) {
	f.t.Helper()
	if _, err := f.RecordStep(f.ctx, answer(f.id, 1, calls...)); err != nil {
		f.t.Fatal(err)
	}
	if len(calls) == 0 {
		return asked
	}
	asked, err := f.AskApproval(f.ctx, f.id, calls[0].ID, time.Hour)
	if err != nil {
		f.t.Fatal(err)
	}
	return asked
}

func TestEndedRun_MakesNoCall(t *testing.T) {
	t.Parallel()
	f := newFateFixture(t)
	waiting, running := toolCall(f.id, 1), toolCall(f.id, 1)
	running.Position = 1
	asked := f.record(waiting, running)
	for want := 1; want <= 2; want++ { // the second time as after a crash
		if _, c, err := f.BeginCall(f.ctx, f.id, running.ID); err != nil || c.Tries != want {
			t.Fatalf("the call begins with try %d, %v; want %d", c.Tries, err, want)
		}
	}
	if _, err := f.Finished(f.ctx, f.id, runs.Outcome{Status: runs.TimedOut, Code: event.ErrorTimeout}); err != nil {
		t.Fatal(err)
	}
	events := f.events(f.ctx, t, f.id)
	if n := len(events); n < 2 || events[n-2].Type != event.ApprovalResolved || !events[n-1].Final() {
		t.Errorf("the log does not close the question before the run: %v", events)
	}
	if _, err := f.ApplyApproval(f.ctx, f.id, asked.ID, false); !fault.Is(err, fault.RunFinal) {
		t.Errorf("an answer takes effect with %v", err)
	}
	for name, call := range map[string]runs.ToolCall{"that waits": waiting, "that was begun": running} {
		if _, _, err := f.BeginCall(f.ctx, f.id, call.ID); !fault.Is(err, fault.RunFinal) {
			t.Errorf("a call %s begins with %v", name, err)
		}
	}
	if n := len(f.events(f.ctx, t, f.id)); n != len(events) {
		t.Errorf("the log went on with %d events", n-len(events))
	}
}

// TestSettle_CompletesARunWhoseAnswerStands: nobody decided to stop it, and the answer was paid for.
func TestSettle_CompletesARunWhoseAnswerStands(t *testing.T) {
	t.Parallel()
	for ending, want := range map[runs.Ending]runs.Status{
		runs.EndingFailed: runs.Completed, runs.EndingCompleted: runs.Completed, runs.EndingTimedOut: runs.Completed, runs.EndingGone: runs.Completed,
		runs.EndingTerminated: runs.Failed, runs.EndingCancelled: runs.Cancelled,
	} {
		t.Run(string(ending), func(t *testing.T) {
			t.Parallel()
			f := newFateFixture(t)
			f.record()
			r := f.settle(runs.Fate{Ending: ending})
			if r.Status != want || want == runs.Completed && (r.Output == nil || *r.Output != "answer 1") {
				t.Errorf("the run is %s with %v, want %s", r.Status, r.Error, want)
			}
		})
	}
}

// TestSettle_FailsARunWithoutAnAnswer: a step with calls is no answer.
func TestSettle_FailsARunWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	f := newFateFixture(t)
	f.record(toolCall(f.id, 1))
	if r := f.settle(runs.Fate{Ending: runs.EndingFailed}); r.Status != runs.Failed || r.Error.Code != event.ErrorInternal {
		t.Errorf("the run is %s with %+v", r.Status, r.Error)
	}
}

func TestSettle_StartsARunAgainThatNeverBegan(t *testing.T) {
	t.Parallel()
	for _, ending := range []runs.Ending{runs.EndingFailed, runs.EndingGone} {
		t.Run(string(ending), func(t *testing.T) {
			t.Parallel()
			f := newFateFixture(t)
			for restart := range 3 {
				f.exec(`update agent_runs set status = 'queued', started_at = null, dispatched_at = now() where id = $1`, f.id)
				if r := f.settle(runs.Fate{Ending: ending}); r.Status != runs.Queued {
					t.Fatalf("after %d restarts the run is %s: %+v", restart, r.Status, r.Error)
				}
				var due bool
				if err := f.db.Conn(t).QueryRow(f.ctx, `select dispatched_at is null from agent_runs where id = $1`, f.id).Scan(&due); err != nil || !due {
					t.Fatalf("the dispatcher will not start the run again: %v", err)
				}
			}
			if r := f.settle(runs.Fate{Ending: ending}); r.Status != runs.Failed || r.Error.Code != event.ErrorNotStarted {
				t.Errorf("a run that cannot be started is %s with %+v", r.Status, r.Error)
			}
		})
	}
}

// TestSettle_LeavesAHeldRunAlone: no workflow was started for it, so that any is of an earlier run of the same id.
func TestSettle_LeavesAHeldRunAlone(t *testing.T) {
	t.Parallel()
	for _, ending := range runs.Endings() {
		t.Run(string(ending), func(t *testing.T) {
			t.Parallel()
			f := newFateFixture(t)
			f.exec(`update agent_runs set status = 'queued', started_at = null, held_by = 'pause', held_at = now() where id = $1`, f.id)
			if r := f.settle(runs.Fate{Ending: ending}); r.Status != runs.Queued || r.Held == nil {
				t.Errorf("the run is %s with %+v", r.Status, r.Error)
			}
			if _, err := f.Started(f.ctx, f.id); !fault.Is(err, fault.Conflict) {
				t.Errorf("a held run begins with %v", err)
			}
			f.exec(`update agent_runs set held_by = null, held_at = null where id = $1`, f.id)
			if r, err := f.Started(f.ctx, f.id); err != nil || r.Status != runs.Running {
				t.Errorf("a run that is held no longer is %s, %v", r.Status, err)
			}
		})
	}
}

// TestSettle_SignalsAgainAfterAReset: what was signalled before the reset may have been left out of it.
func TestSettle_SignalsAgainAfterAReset(t *testing.T) {
	t.Parallel()
	f := newFateFixture(t)
	asked := f.record(toolCall(f.id, 1))
	if _, err := f.Resolve(f.ctx, f.id, asked.ID, runs.Answer{Decision: runs.Approved}); err != nil {
		t.Fatal(err)
	}
	unheard := func() (n int) {
		if err := f.db.Conn(t).QueryRow(f.ctx, `select count(*) from approvals where signalled_at is null`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, c := range map[string]struct {
		reset time.Time
		want  int
	}{"never": {}, "long before": {time.Now().Add(-time.Hour), 0}, "since": {time.Now(), 1}} {
		f.exec(`update approvals set signalled_at = now()`)
		f.settle(runs.Fate{Ending: runs.EndingOpen, ResetAt: c.reset})
		if n := unheard(); n != c.want {
			t.Errorf("reset %s: %d answers are to be signalled again, want %d", name, n, c.want)
		}
	}
}
