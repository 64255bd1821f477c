package connectortest

import (
	"context"
	"testing"
	"time"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

// checkPace: an inline connector is called inside the run, which waits for it. The best of three tries
// counts: the machine may be busy.
func checkPace(t testing.TB, s Subject) {
	r := s.New(t)
	if !inline(r.Connector) {
		return
	}
	for _, typ := range hooked() {
		best := patience
		for range 3 {
			e := r.single(t, typ)
			if !wants(r.Connector, e) {
				best = 0
				break
			}
			best = min(best, r.tell(t.Context(), e, patience).took)
			if best <= connectors.InlineLimit {
				break
			}
		}
		if best > connectors.InlineLimit {
			t.Errorf("%s takes %s: an inline connector has %s", typ, best, connectors.InlineLimit)
			return
		}
	}
}

// each calls f with a wanted event of each type.
func (r Rig) each(t testing.TB, f func(e connectors.Event) (next bool)) {
	t.Helper()
	for _, typ := range hooked() {
		if e := r.single(t, typ); wants(r.Connector, e) && !f(e) {
			return
		}
	}
}

// checkCancellation: a worker that goes away cancels what is under way.
func checkCancellation(t testing.TB, s Subject) {
	r := s.New(t)
	r.each(t, func(e connectors.Event) bool {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return soon(t, r.tell(ctx, e, grace), e.Type, "its context was cancelled before the call")
	})
	if s.Stalled == nil {
		if !inline(r.Connector) {
			t.Errorf("a remote connector is to be shown with another side that does not answer: Subject.Stalled is missing")
		}
		return
	}
	r = s.Stalled(t)
	r.each(t, func(e connectors.Event) bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer time.AfterFunc(deadline, cancel).Stop()
		defer cancel()
		return soon(t, r.tell(ctx, e, deadline+grace), e.Type, "its context was cancelled while the other side did not answer")
	})
}

func soon(t testing.TB, o outcome, typ event.Type, when string) bool {
	t.Helper()
	if o.hung {
		t.Errorf("%s had not ended %s after %s", typ, grace, when)
	}
	return !o.hung
}

// checkTimeOut: every call has a deadline; an event that was not passed on by then is told again, which
// takes an error.
func checkTimeOut(t testing.TB, s Subject) {
	if s.Stalled == nil {
		return
	}
	r := s.Stalled(t)
	r.each(t, func(e connectors.Event) bool {
		ctx, stop := context.WithTimeout(t.Context(), deadline)
		defer stop()
		o := r.tell(ctx, e, deadline+grace)
		if !soon(t, o, e.Type, "its deadline, while the other side did not answer") {
			return false
		}
		if o.err == nil && s.leaves(e) {
			t.Errorf("%s says that it succeeded although the other side never answered: the event is lost", e.Type)
			return false
		}
		return true
	})
}

// checkSlowRemote: an answer that drips or never ends is read up to the deadline and not beyond. Whether
// the event counts as taken is the connector's business.
func checkSlowRemote(t testing.TB, s Subject) {
	if s.Slow == nil {
		return
	}
	r := s.Slow(t)
	r.each(t, func(e connectors.Event) bool {
		ctx, stop := context.WithTimeout(t.Context(), deadline)
		defer stop()
		return soon(t, r.tell(ctx, e, deadline+grace), e.Type, "its deadline, while the other side went on answering")
	})
}
