package connectortest

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

// checkHooks tells a run of each end, in order.
func checkHooks(t testing.TB, s Subject) {
	r := s.New(t)
	var expected []Effect
	told := 0
	for _, end := range []event.Type{event.RunCompleted, event.RunError, event.RunCancelled} {
		for _, e := range r.story(t, end) {
			if !wants(r.Connector, e) {
				continue
			}
			told++
			if r.well(t, e) && s.leaves(e) {
				expected = append(expected, Effect{RunID: e.RunID, Type: e.Type})
			}
		}
	}
	if told == 0 {
		t.Errorf("it wants none of the events that the suite makes")
	}
	s.compare(t, r, expected)
}

// compare looks whether the world has received what it should, in whatever order.
func (s Subject) compare(t testing.TB, r Rig, expected []Effect) {
	t.Helper()
	if r.Effects == nil {
		return
	}
	open := map[Effect]int{}
	for _, x := range expected {
		open[s.visible(x)]++
	}
	for _, x := range r.Effects() {
		open[s.visible(x)]--
	}
	for x, n := range open {
		switch {
		case n > 0:
			t.Errorf("%s of run %s left %d effects too few", x.Type, x.RunID, n)
		case n < 0:
			t.Errorf("%s of run %s left %d effects too many", x.Type, x.RunID, -n)
		}
	}
}

// visible is the part of an effect that the world can tell.
func (s Subject) visible(x Effect) Effect {
	if s.Unordered {
		x.RunID = uuid.Nil
	}
	return x
}

// checkOrder: deliveries that are tried again are overtaken, so that events come in any order; what a
// connector was told one after the other it passes on one after the other.
func checkOrder(t testing.TB, s Subject) {
	r := s.New(t)
	var told []Effect
	tell := func(e connectors.Event) {
		if !wants(r.Connector, e) {
			return
		}
		if r.well(t, e) && s.leaves(e) {
			told = append(told, Effect{RunID: e.RunID, Type: e.Type})
		}
	}
	for _, e := range r.story(t, event.RunCompleted) {
		tell(e)
	}
	backwards := r.story(t, event.RunError)
	slices.Reverse(backwards)
	for _, e := range backwards {
		tell(e)
	}
	tell(r.event(t, uuid.Must(uuid.NewV7()), 4711, event.RunCancelled)) // with no beginning
	if r.Effects == nil || s.Unordered {
		return
	}
	seen := r.Effects()
	at := -1
	for _, x := range told {
		i := slices.Index(seen, x)
		if i < 0 {
			continue // the hooks have their own check
		}
		if i < at {
			t.Errorf("%s of run %s was passed on before what was told before it: %v", x.Type, x.RunID, seen)
			return
		}
		at = i
	}
}

// checkRepeat: at least once means that the same event comes again.
func checkRepeat(t testing.TB, s Subject) {
	r := s.New(t)
	for _, end := range []event.Type{event.RunCompleted, event.RunError, event.RunCancelled} {
		for _, e := range r.story(t, end) {
			if !wants(r.Connector, e) {
				continue
			}
			r.tell(t.Context(), e, patience)
			before := r.count()
			for range 2 {
				if !r.well(t, e) {
					t.Errorf("the event had been told before")
					return
				}
			}
			if after := r.count(); after != before {
				t.Errorf("%s told again left %d further effects: send or store %s with it", e.Type, after-before, e.IdempotencyKey(r.Connector.Name()))
			}
		}
	}
}

func (r Rig) count() int {
	if r.Effects == nil {
		return 0
	}
	return len(r.Effects())
}
