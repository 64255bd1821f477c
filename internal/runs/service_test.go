package runs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/runs"
)

// rig is the runs of one process over a real database. What lies behind the other ports has no part here.
type rig struct {
	*runs.Service
	db *pgtest.Database

	mu        sync.Mutex
	announced []event.Event
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{db: pgtest.New(t)}
	r.Service = runs.NewService(runs.Deps{
		DB: r.db.DB, Log: openLog(t, r.db), Engine: idle{}, Announcer: r, Outbox: noOutbox{}, Logger: slog.New(slog.DiscardHandler),
	})
	return r
}

// Wants makes the rig hear of everything.
func (r *rig) Wants(runs.Run, event.Event) bool { return true }

// noOutbox has nobody to tell.
type noOutbox struct{}

func (noOutbox) Listen(uuid.UUID) (postgres.Statement, runs.Post) {
	return postgres.Statement{SQL: `select`}, func(runs.Run, []runs.Posted) (postgres.Statement, func(), bool) {
		return postgres.Statement{}, nil, false
	}
}

// Announce makes the rig an Announcer.
func (r *rig) Announce(_ context.Context, _ runs.Run, events []event.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.announced = append(r.announced, events...)
	return nil
}

// idle is an engine that does nothing.
type idle struct{ runs.Engine }

func (idle) CancelRun(context.Context, uuid.UUID, uuid.UUID) error { return nil }

func (idle) SignalApproval(context.Context, uuid.UUID, uuid.UUID, uuid.UUID) error { return nil }

// events reads a run's log and demands that it has no hole.
func (r *rig) events(ctx context.Context, t *testing.T, run uuid.UUID) []event.Event {
	t.Helper()
	events, err := r.Log.Page(ctx, run, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d of run %s has seq %d", i+1, run, e.Seq)
		}
	}
	return events
}

func count(events []event.Event, types ...event.Type) int {
	n := 0
	for _, e := range events {
		for _, typ := range types {
			if e.Type == typ {
				n++
			}
		}
	}
	return n
}

func answer(run uuid.UUID, number int, calls ...runs.ToolCall) runs.Step {
	return runs.Step{
		RunID: run, Number: number, Content: fmt.Sprintf("answer %d", number), Finish: "stop", Model: "openai/x", At: clock.Now(), ToolCalls: calls,
		Usage: event.Usage{InputTokens: 10, OutputTokens: 5, CostUSD: decimal.RequireFromString("0.25")},
	}
}

func toolCall(run uuid.UUID, step int) runs.ToolCall {
	return runs.ToolCall{ID: uuid.New(), RunID: run, Step: step, CallID: "c", Name: "calculator", Arguments: `{}`, Status: runs.ToolPending}
}

// Of twenty ends at once one is recorded, and everybody is told that one.
func TestTheFirstEndStands(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, tenant := r.db.Tenant(t, "a")
	run := emptyRuns(t, r.db, tenant, 1)[0]
	outcomes := []runs.Outcome{
		{Status: runs.Completed}, {Status: runs.Failed, Code: event.ErrorModel, Message: "m"}, {Status: runs.Cancelled}, {Status: runs.TimedOut, Code: event.ErrorTimeout},
	}
	told := make(chan runs.Status, 20)
	var all sync.WaitGroup
	for i := range cap(told) {
		all.Go(func() {
			got, err := r.Finished(ctx, run, outcomes[i%len(outcomes)])
			if err != nil {
				t.Error(err)
			}
			told <- got.Status
		})
	}
	all.Wait()
	close(told)
	stands, err := r.Find(ctx, run)
	if err != nil || !stands.Status.Final() {
		t.Fatalf("the run is %s, %v", stands.Status, err)
	}
	for status := range told {
		if status != stands.Status {
			t.Errorf("somebody was told %s, the run is %s", status, stands.Status)
		}
	}
	if events := r.events(ctx, t, run); len(events) != 1 || !events[0].Final() {
		t.Errorf("the log has %d events", len(events))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.announced {
		if e.Seq != 1 || !e.Final() {
			t.Errorf("announced %s at %d", e.Type, e.Seq)
		}
	}
}

func TestAStepIsRecordedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, tenant := r.db.Tenant(t, "a")
	run := emptyRuns(t, r.db, tenant, 1)[0]
	first := answer(run, 1, toolCall(run, 1))
	again := answer(run, 1, toolCall(run, 1), toolCall(run, 1))
	again.Content, again.ToolCalls[1].Position = "something else", 1
	for i, step := range []runs.Step{first, again, first} {
		taken, err := r.RecordStep(ctx, step)
		if err != nil {
			t.Fatal(err)
		}
		if len(taken.ToolCalls) != 1 || taken.ToolCalls[0].ID != first.ToolCalls[0].ID || taken.Usage.Tokens() != 15 || taken.More {
			t.Errorf("record %d led to %+v", i, taken)
		}
	}
	got, err := r.Find(ctx, run)
	if err != nil || got.Usage.Tokens() != 15 || !got.Usage.CostUSD.Equal(decimal.RequireFromString("0.25")) || got.Step != 1 {
		t.Errorf("the run is %+v, %v", got, err)
	}
	if n := count(r.events(ctx, t, run), event.MessageCompleted); n != 1 {
		t.Errorf("%d messages in the log", n)
	}
	// A step that begins again finds its record and does not ask the model.
	turn, err := r.BeginStep(ctx, run, 1, 2, false)
	if err != nil || turn.Recorded == nil || len(turn.Recorded.ToolCalls) != 1 {
		t.Errorf("the step begins with %+v, %v", turn.Recorded, err)
	}
}

func TestAHumanIsAskedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, tenant := r.db.Tenant(t, "a")
	run := emptyRuns(t, r.db, tenant, 1)[0]
	call := toolCall(run, 1)
	if _, err := r.RecordStep(ctx, answer(run, 1, call)); err != nil {
		t.Fatal(err)
	}
	asked := make([]runs.Approval, 10)
	var all sync.WaitGroup
	for i := range asked {
		all.Go(func() {
			var err error
			if asked[i], err = r.AskApproval(ctx, run, call.ID, time.Duration(i+1)*time.Hour); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, a := range asked {
		if a.ID != asked[0].ID || !a.ExpiresAt.Equal(asked[0].ExpiresAt.Time) {
			t.Errorf("asked %+v and %+v", a, asked[0])
		}
	}
	events := r.events(ctx, t, run)
	if n := count(events, event.ApprovalRequested); n != 1 {
		t.Errorf("%d questions in the log", n)
	}
	if got, err := r.Find(ctx, run); err != nil || got.Status != runs.Waiting {
		t.Errorf("the run is %s, %v", got.Status, err)
	}
	// Of two answers at once one stands and the other is told so; applied twice it is applied once.
	answers := make(chan error, 2)
	for _, d := range []runs.Decision{runs.Approved, runs.Rejected} {
		go func() {
			_, err := r.Resolve(ctx, run, asked[0].ID, runs.Answer{Decision: d})
			answers <- err
		}()
	}
	if err := errors.Join(<-answers, <-answers); !fault.Is(err, fault.Conflict) {
		t.Errorf("both answers stand: %v", err)
	}
	for range 2 {
		if d, err := r.ApplyApproval(ctx, run, asked[0].ID, true); err != nil || d != runs.Approved && d != runs.Rejected {
			t.Errorf("applied %s, %v", d, err)
		}
	}
	events = r.events(ctx, t, run)
	if n := count(events, event.ApprovalResolved); n != 1 {
		t.Errorf("%d answers in the log", n)
	}
	if got, err := r.Find(ctx, run); err != nil || got.Status != runs.Running {
		t.Errorf("the run is %s, %v", got.Status, err)
	}
}

// A message and the last answer meet, two hundred times: either the message was taken and the run goes
// on to hear it, or it was refused and the run ends. A message that is taken and never heard is a lie.
func TestNoMessageFallsBetweenTheChairs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, tenant := r.db.Tenant(t, "a")
	ids := emptyRuns(t, r.db, tenant, 200)
	accepted := 0
	for i, run := range ids {
		var sent error
		var taken runs.Taken
		var all sync.WaitGroup
		begin := make(chan struct{})
		all.Go(func() {
			<-begin
			_, sent = r.Send(ctx, run, uuid.Nil, "wait")
		})
		all.Go(func() {
			<-begin
			var err error
			if taken, err = r.RecordStep(ctx, answer(run, 1)); err != nil {
				t.Error(err)
			}
		})
		close(begin)
		all.Wait()
		if sent != nil && !fault.Is(sent, fault.RunFinal) {
			t.Fatal(sent)
		}
		if (sent == nil) != taken.More {
			t.Fatalf("race %d: the message's answer is %v, the run goes on: %t", i, sent, taken.More)
		}
		if sent == nil {
			accepted++
			turn, err := r.BeginStep(ctx, run, 2, 1, false)
			if err != nil || len(turn.Messages) != 1 || turn.Messages[0].Step == nil || *turn.Messages[0].Step != 2 {
				t.Fatalf("race %d: the next step hears %+v, %v", i, turn.Messages, err)
			}
		}
	}
	t.Logf("%d of %d messages came in time", accepted, len(ids))
}

func TestAStartIsToldOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, tenant := r.db.Tenant(t, "a")
	run := emptyRuns(t, r.db, tenant, 1)[0]
	if _, err := r.db.Conn(t).Exec(t.Context(), `update agent_runs set status = 'queued', started_at = null where id = $1`, run); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		if _, err := r.Send(ctx, run, uuid.Nil, text); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if got, err := r.Started(ctx, run); err != nil || got.Status != runs.Running {
				t.Errorf("%s, %v", got.Status, err)
			}
		})
	}
	all.Wait()
	events := r.events(ctx, t, run)
	if len(events) != 3 || events[0].Type != event.RunStarted || count(events, event.MessageReceived) != 2 {
		t.Errorf("the log has %d events and begins with %s", len(events), events[0].Type)
	}
}
