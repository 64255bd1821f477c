package runs

import (
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// Every ending of a workflow ends a run in every state that is not final, with one start and one end.
func TestEveryFateEndsARun(t *testing.T) {
	t.Parallel()
	answer := "42"
	for _, ending := range Endings() {
		if !ending.Ended() {
			continue
		}
		for _, state := range []Status{Queued, Running, Waiting} {
			r := Run{Status: state, CreatedAt: clock.Now()}
			o := Fate{Ending: ending, Reason: "because"}.outcome(r)
			drafts, err := r.Finish(o, "", clock.Now())
			if err != nil {
				t.Errorf("%s, %s: %v", state, ending, err)
				continue
			}
			if want := map[bool]int{true: 2, false: 1}[state == Queued]; len(drafts) != want || !r.Status.Final() {
				t.Errorf("%s, %s: %d events, %s", state, ending, len(drafts), r.Status)
			}
		}
	}
	for ending, want := range map[Ending]Outcome{
		EndingTerminated: {Status: Failed, Code: event.ErrorTerminated},
		EndingGone:       {Status: Failed, Code: event.ErrorTerminated},
		EndingTimedOut:   {Status: TimedOut, Code: event.ErrorTimeout},
		EndingCancelled:  {Status: Cancelled},
		EndingFailed:     {Status: Failed, Code: event.ErrorInternal},
		EndingCompleted:  {Status: Failed, Code: event.ErrorInternal},
	} {
		got := Fate{Ending: ending, Reason: "because"}.outcome(Run{Status: Running, Output: &answer})
		if got.Status != want.Status || got.Code != want.Code {
			t.Errorf("%s: %+v", ending, got)
		}
		if ending != EndingTimedOut && !strings.Contains(got.Message, "because") {
			t.Errorf("%s: the reason is missing in %q", ending, got.Message)
		}
	}
	if o := (Fate{Ending: EndingCompleted}).outcome(Run{Status: Running, Output: &answer, IntakeClosed: true}); o.Status != Completed {
		t.Errorf("a run whose answer stands ends as %+v", o)
	}
}

// The window of a pass goes on where the last one stopped, with room for what the listing shows late, and
// stays until it has been read.
func TestWindows(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	first := Pass{}.Next(began)
	if first.Window.From != began.Add(-lookback) || first.Window.Until != began {
		t.Errorf("the first window is %+v", first.Window)
	}
	first.Window.Cursor, first.Found = "further", Found{Closed: 3}
	second := first.Next(began.Add(time.Minute))
	if second.Window != first.Window || second.Found.Closed != 0 {
		t.Errorf("a window that was not read to its end is followed by %+v", second)
	}
	if p := second.Retried(2); p.Window != second.Window {
		t.Errorf("tried again, the pass begins at %+v", p.Window)
	}
	if p := second.Retried(3); p.Window.Cursor != "" || p.Window.From != second.Window.From {
		t.Errorf("tried again and again, the pass begins at %+v", p.Window)
	}
	second.Window.Cursor, second.Read = "", true
	third := second.Next(began.Add(time.Hour))
	if third.Read || third.Window.From != began.Add(-overlap) || third.Window.Until != began.Add(time.Hour) {
		t.Errorf("a window that was read is followed by %+v", third)
	}
}
