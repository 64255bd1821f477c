package runs_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
)

// reconcile makes passes, one after the other, and demands that none fails.
func (f *passFixture) reconcile(t *testing.T, passes int) {
	t.Helper()
	for p, n := (runs.Pass{}), 0; n < passes; n++ {
		done, err := f.Reconcile(t.Context(), p.Next(time.Now()))
		if err != nil {
			t.Fatalf("pass %d: %v", n+1, err)
		}
		p = done
	}
}

func TestReconcile_AnnouncesBehindEndsThatCannotBeAnnounced(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"refused": errors.New("it is refused"), "as if it was away": errAway} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newPassFixture(t)
			f.announce = func(runs.Run) error { return failure }
			f.insert(t, f.first, crowd, "completed", `finished_at = now() - interval '1 hour', end_told = false`)
			other := f.insert(t, f.second, 1, "completed", `finished_at = now() - interval '1 minute', end_told = false`)
			f.exec(t, `insert into run_events (tenant_id, run_id, seq, type, at, data) select tenant_id, id, 1, 'run_completed', now(), '{}' from agent_runs`)
			f.reconcile(t, 2)
			if !slices.Equal(f.announced, other) {
				t.Errorf("announced %v, want %v", f.announced, other)
			}
		})
	}
}

func TestReconcile_ComparesBehindRunsThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	f := newPassFixture(t)
	f.fate = func(uuid.UUID) (runs.Fate, error) { return runs.Fate{}, errAway }
	f.insert(t, f.first, crowd, "running", `started_at = now()`)
	other := f.insert(t, f.second, 1, "running", `started_at = now()`)
	f.reconcile(t, 2)
	if !slices.Equal(f.announced, other) {
		t.Errorf("ended %v, want %v", f.announced, other)
	}
}

// A closed workflow that cannot be looked at fails the pass some times, and then no more: it is left to the comparison.
func TestReconcile_LeavesAClosedWorkflowThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	f := newPassFixture(t)
	f.fate = func(uuid.UUID) (runs.Fate, error) { return runs.Fate{}, errAway }
	stuck := f.insert(t, f.first, 1, "running", `started_at = now()`)
	ended := f.insert(t, f.first, 1, "completed", `finished_at = now()`)
	for _, id := range append(stuck, ended...) {
		f.closed = append(f.closed, runs.Closed{RunID: id, Killed: true})
	}
	first := runs.Pass{}.Next(time.Now())
	if _, err := f.Reconcile(t.Context(), first.Retried(1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the first attempt: %v", err)
	}
	done, err := f.Reconcile(t.Context(), first.Retried(5))
	if err != nil || !done.Read {
		t.Errorf("a later attempt: %v, read %v", err, done.Read)
	}
	if n := f.count(t, `end_told = false`); n != 1 {
		t.Errorf("%d ends are owed, want that of the run that has ended", n)
	}
}
