package outage

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
)

// fatal is an engine that hears of no run, as if the process had died before it told it.
type fatal struct{ runs.Engine }

func (fatal) StartRun(context.Context, runs.Run) error {
	return fault.New(fault.Unavailable, "the process dies here")
}

// refusing is an engine that takes no run, and never will.
type refusing struct{ runs.Engine }

func (refusing) StartRun(context.Context, runs.Run) error {
	return fault.New(fault.Internal, "no such task queue type")
}

// counting counts the starts that the engine underneath is asked for.
type counting struct {
	runs.Engine
	starts *atomic.Int32
}

func (c counting) StartRun(ctx context.Context, r runs.Run) error {
	c.starts.Add(1)
	return c.Engine.StartRun(ctx, r)
}

// service gives the process's service with another engine, as another process would have it.
func service(p *harness.Process, engine runs.Engine, dispatchIn time.Duration) *runs.Service {
	deps := p.App.Runs.Deps
	deps.Engine, deps.DispatchIn = engine, dispatchIn
	return runs.NewService(deps)
}

// acceptAndDie accepts a run and dies before the engine hears of it.
func acceptAndDie(t *testing.T, p *harness.Process, x *harness.Tenant) (id uuid.UUID) {
	t.Helper()
	r, err := service(p, fatal{p.App.Runs.Engine}, 0).Create(x.Context(t.Context()), runs.NewRun{Input: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// TestDeathBetweenAcceptedAndStarted runs with the delays that production has.
func TestDeathBetweenAcceptedAndStarted(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	id := acceptAndDie(t, p, x)
	if r := x.FindRun(t, id); r.Status != "queued" {
		t.Fatalf("the run is %s", r.Status)
	}
	began := pace.Start(t)
	events := x.Follow(t, id, 0).Rest(t)
	harness.WantWhole(t, events)
	if took := began.Took(); took > 30*time.Second {
		t.Errorf("it was started after %s", took)
	}
	if r := x.FindRun(t, id); r.Status != "completed" {
		t.Errorf("the run is %s", r.Status)
	}
}

func TestTwoDispatchersStartARunOnce(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.StartWith(t, s.Config, harness.All, never)
	other := s.StartWith(t, s.Config, harness.All, never)
	x := p.NewTenant(t, agents.Config{})
	var ids []uuid.UUID
	for range 10 {
		ids = append(ids, acceptAndDie(t, p, x))
	}
	var starts atomic.Int32
	var all sync.WaitGroup
	for _, process := range []*harness.Process{p, other, p, other} {
		dispatcher := service(process, counting{process.App.Runs.Engine, &starts}, time.Nanosecond)
		all.Go(func() {
			if err := dispatcher.Dispatch(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := starts.Load(); n != int32(len(ids)) {
		t.Errorf("%d runs were started %d times", len(ids), n)
	}
	for _, id := range ids {
		harness.WantWhole(t, x.Follow(t, id, 0).Rest(t))
	}
	if n := s.Model.Stats().Requests; n != len(ids) {
		t.Errorf("the model was asked %d times for %d runs", n, len(ids))
	}
}

func TestARunThatIsRefusedForGood(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.StartWith(t, s.Config, harness.All, never)
	x := p.NewTenant(t, agents.Config{})
	id := acceptAndDie(t, p, x)
	if err := service(p, refusing{p.App.Runs.Engine}, time.Nanosecond).Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := x.Follow(t, id, 0).Rest(t)
	harness.WantWhole(t, events)
	r := x.FindRun(t, id)
	if r.Status != "failed" || r.Error == nil || r.Error.Code != event.ErrorNotStarted || r.FinishedAt == nil {
		t.Errorf("the run is %+v", r)
	}
	// At once, in a request, it is an error of ours and leaves nothing behind.
	_, err := service(p, refusing{p.App.Runs.Engine}, time.Hour).Create(x.Context(t.Context()), runs.NewRun{Input: "hello"})
	if !fault.Is(err, fault.Internal) {
		t.Errorf("a run that the engine refuses gives %v", err)
	}
	wantRuns(t, s, x, id)
}

// TestTheHolderOfAKeyDies takes the process away in the middle of a keyed request; the same request
// again finishes what was begun, under the same id.
func TestTheHolderOfAKeyDies(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.StartWith(t, s.Config, harness.All, never)
	x := p.NewTenant(t, agents.Config{})
	body := `{"input": "hello"}`
	var first harness.Run
	x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", "k").Want(t, 202, &first)
	harness.WantWhole(t, x.Follow(t, first.ID, 0).Rest(t))
	// What a holder leaves that died after its run was accepted: a lock that runs out, and no answer.
	conn := s.Database.Conn(t)
	if _, err := conn.Exec(t.Context(), `update idempotency_keys set status = null, body = null, location = null,
		locked_until = clock_timestamp() + interval '2 seconds' where tenant_id = $1`, x.ID); err != nil {
		t.Fatal(err)
	}
	var again harness.Run
	harness.Eventually(t, 30*time.Second, "the key is taken over", func() bool {
		a := x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", "k")
		if a.Status == 409 {
			a.WantProblem(t, 409, "idempotency_in_flight")
			return false
		}
		a.Want(t, 202, &again)
		return true
	})
	if again.ID != first.ID {
		t.Errorf("the second request made %s beside %s", again.ID, first.ID)
	}
	wantRuns(t, s, x, first.ID)
}
