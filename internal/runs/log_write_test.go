package runs_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
)

// Twenty writers of five runs, half of them through the group commit and half in transactions of their own.
func TestManyWritersLeaveNoHole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, tenant := r.db.Tenant(t, "a")
	ids := emptyRuns(t, r.db, tenant, 5)
	const writers, each = 20, 15
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				run := ids[(w+i)%len(ids)]
				if w%2 == 0 {
					if _, err := r.Send(ctx, run, uuid.Nil, "hello"); err != nil {
						t.Error(err)
					}
					continue
				}
				ticket, err := r.Log.Add(ctx, run, event.Draft{Type: event.RunProgress, Data: event.Progress{Phase: event.PhaseStep, Step: i}})
				if err == nil {
					err = ticket.Wait(ctx)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	total := 0
	for _, run := range ids {
		total += len(r.events(ctx, t, run))
	}
	if total != writers*each {
		t.Errorf("%d events, want %d", total, writers*each)
	}
}

func TestNothingFollowsTheFinalEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, tenant := r.db.Tenant(t, "a")
	ids := emptyRuns(t, r.db, tenant, 2)
	closed, open := ids[0], ids[1]
	if _, err := r.Finished(ctx, closed, runs.Outcome{Status: runs.Failed, Code: event.ErrorModel}); err != nil {
		t.Fatal(err)
	}
	for _, run := range []uuid.UUID{closed, open, closed} { // one batch, perhaps: the open one must not suffer
		ticket, err := r.Log.Add(ctx, run, event.Draft{Type: event.MessageDelta, Data: event.Delta{Text: "late"}})
		if err != nil {
			t.Fatal(err)
		}
		_ = ticket.Wait(ctx) // a closed log may refuse or drop what comes late
	}
	if got := r.events(ctx, t, closed); len(got) != 1 || got[0].Type != event.RunError {
		t.Errorf("the closed log holds %d events, last %s", len(got), got[len(got)-1].Type)
	}
	if got := r.events(ctx, t, open); len(got) != 1 {
		t.Errorf("the open log holds %d events", len(got))
	}
	_, sent := r.Send(ctx, closed, uuid.Nil, "late")
	_, cancelled := r.Cancel(ctx, closed, "late")
	_, stepped := r.RecordStep(ctx, answer(closed, 1))
	for what, err := range map[string]error{"Send": sent, "Cancel": cancelled, "RecordStep": stepped} {
		if !fault.Is(err, fault.RunFinal) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := r.RecordPartial(ctx, answer(closed, 1)); err != nil {
		t.Errorf("RecordPartial: %v", err)
	}
	if got := r.events(ctx, t, closed); len(got) != 1 {
		t.Errorf("the closed log grew to %d events", len(got))
	}
}

// One transaction carries the events of several tenants: each is written as itself.
func TestAGroupCommitKeepsTenantsApart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctxA, a := r.db.Tenant(t, "a")
	ctxB, b := r.db.Tenant(t, "b")
	runA, runB := emptyRuns(t, r.db, a, 1)[0], emptyRuns(t, r.db, b, 1)[0]
	draft := event.Draft{Type: event.RunProgress, Data: event.Progress{Phase: event.PhaseStep}}
	var all sync.WaitGroup
	for range 50 {
		for _, add := range []struct {
			ctx context.Context //nolint:containedctx // who adds
			run uuid.UUID
		}{{ctxA, runA}, {ctxB, runB}, {ctxA, runB}, {ctxB, runA}} {
			all.Go(func() {
				ticket, err := r.Log.Add(add.ctx, add.run, draft)
				if err != nil {
					t.Error(err)
					return
				}
				_ = ticket.Wait(add.ctx) // for a foreign run it is as if there were none
			})
		}
	}
	all.Wait()
	for name, x := range map[string]struct {
		ctx    context.Context //nolint:containedctx // who reads
		mine   uuid.UUID
		theirs uuid.UUID
	}{"a": {ctxA, runA, runB}, "b": {ctxB, runB, runA}} {
		if n := len(r.events(x.ctx, t, x.mine)); n != 50 {
			t.Errorf("tenant %s has %d events, want its own 50", name, n)
		}
		if _, err := r.Log.Page(x.ctx, x.theirs, 0, 10); !fault.Is(err, fault.NotFound) {
			t.Errorf("tenant %s reads the other's log: %v", name, err)
		}
	}
	conn := r.db.Conn(t)
	var strays int
	err := conn.QueryRow(t.Context(), `select count(*) from run_events e join agent_runs r on r.id = e.run_id where e.tenant_id <> r.tenant_id`).Scan(&strays)
	if err != nil || strays != 0 {
		t.Errorf("%d events stand in another tenant's log, %v", strays, err)
	}
}
