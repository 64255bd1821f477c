package runs

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

// fakeStarts is an engine of which a test decides when each start ends, and how.
type fakeStarts struct {
	mu        sync.Mutex
	underWay  map[uuid.UUID]int
	most      map[uuid.UUID]int
	order     []uuid.UUID // tenants, as their starts ended
	abandoned []error
	release   chan error
}

func newFakeStarts() *fakeStarts {
	return &fakeStarts{underWay: map[uuid.UUID]int{}, most: map[uuid.UUID]int{}, release: make(chan error)}
}

func (f *fakeStarts) start(_ context.Context, r Run) error {
	f.mu.Lock()
	f.underWay[r.TenantID]++
	f.most[r.TenantID] = max(f.most[r.TenantID], f.underWay[r.TenantID])
	f.mu.Unlock()
	err := <-f.release
	f.mu.Lock()
	defer f.mu.Unlock()
	f.underWay[r.TenantID]--
	f.order = append(f.order, r.TenantID)
	return err
}

func (f *fakeStarts) fail(_ context.Context, _ Run, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.abandoned = append(f.abandoned, err)
}

func newStartOf(tenant uuid.UUID) Run { return Run{ID: newID(), TenantID: tenant} }

// A tenant with many runs has its share of starts under way; another tenant's run begins at once and, where all places
// are taken, before the rest of the many.
func TestStarter_ServesTenantsInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeStarts()
		s := newStarter(DefaultStartsPerTenant, f.start, f.fail)
		busy, quiet := uuid.New(), uuid.New()
		var requests sync.WaitGroup
		for range 100 {
			requests.Go(func() {
				if started, err := s.Start(t.Context(), newStartOf(busy), time.Millisecond); started || err != nil {
					t.Errorf("a start that does not end is reported as started %v, error %v", started, err)
				}
			})
		}
		requests.Wait()
		began := time.Now()
		if started, _ := s.Start(t.Context(), newStartOf(quiet), time.Minute); started {
			t.Error("it is started although nothing was released")
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("the quiet tenant's start was queued: it was waited for %s", took)
		}
		// Tenants that take the other places, and one more of each: they are served in turn.
		var others []uuid.UUID
		for s.total() < startsAtOnce {
			tenant := uuid.New()
			others = append(others, tenant)
			for range DefaultStartsPerTenant {
				_, _ = s.Start(t.Context(), newStartOf(tenant), 0)
			}
		}
		late := uuid.New()
		_, _ = s.Start(t.Context(), newStartOf(late), 0)
		for range 3 { // the tenants that have queued starts
			f.release <- nil
			synctest.Wait()
		}
		f.mu.Lock()
		if f.underWay[late] != 1 {
			t.Errorf("of a tenant that came last %d starts are under way after three others ended", f.underWay[late])
		}
		f.mu.Unlock()
		close(f.release)
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		if want := 100 + 1 + 1 + len(others)*DefaultStartsPerTenant; len(f.order) < want-len(others) || f.most[busy] != DefaultStartsPerTenant {
			t.Errorf("%d of %d starts ended, of the busy tenant %d at once", len(f.order), want, f.most[busy])
		}
		if len(s.tenants) != 0 || len(s.turns) != 0 || s.underWay != 0 || len(f.abandoned) != 0 {
			t.Errorf("left are %d tenants, %d turns, %d starts, %v", len(s.tenants), len(s.turns), s.underWay, f.abandoned)
		}
	})
}

func (s *starter) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.underWay
}

func TestStarter_ReportsToWhoeverWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeStarts()
		s := newStarter(DefaultStartsPerTenant, f.start, f.fail)
		refused := errors.New("refused")
		go func() { f.release <- refused }()
		if started, err := s.Start(t.Context(), newStartOf(uuid.New()), time.Minute); !started || !errors.Is(err, refused) {
			t.Errorf("started %v, error %v", started, err)
		}
		if started, err := s.Start(t.Context(), newStartOf(uuid.New()), time.Second); started || err != nil {
			t.Errorf("started %v, error %v", started, err)
		}
		f.release <- refused
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.abandoned) != 1 || !errors.Is(f.abandoned[0], refused) {
			t.Errorf("of the start that nobody waited for %v was reported", f.abandoned)
		}
	})
}

// What is under way when the process stops is waited for; what is queued or comes later is the dispatcher's.
func TestStarter_Stops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeStarts()
		s := newStarter(DefaultStartsPerTenant, f.start, f.fail)
		tenant := uuid.New()
		for range DefaultStartsPerTenant + 5 {
			_, _ = s.Start(t.Context(), newStartOf(tenant), 0)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Stop(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopping gives %v while starts are under way", err)
		}
		if started, err := s.Start(t.Context(), newStartOf(uuid.New()), time.Minute); started || err != nil {
			t.Errorf("started %v, error %v", started, err)
		}
		close(f.release)
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if len(f.order) != DefaultStartsPerTenant {
			t.Errorf("%d starts ended, want those under way: %d", len(f.order), DefaultStartsPerTenant)
		}
	})
}
