package runs_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
)

// story is a run with all that was ever told of it.
type story struct {
	run runs.Run
	log []event.Draft
	at  clock.Time
}

// try does something to the run and keeps what it told. What is refused must change nothing and tell
// nothing.
func (s *story) try(t *rapid.T, what string, do func(r *runs.Run, at clock.Time) ([]event.Draft, error)) {
	before := s.run
	told, err := do(&s.run, s.at)
	if err != nil {
		if len(told) != 0 || !reflect.DeepEqual(s.run, before) {
			t.Fatalf("%s was refused (%v) and changed\n%+v to\n%+v, telling %v", what, err, before, s.run, told)
		}
		if before.Status.Final() != fault.Is(err, fault.RunFinal) {
			t.Fatalf("%s of a run that is %s: %v", what, before.Status, err)
		}
		return
	}
	if before.Status.Final() {
		t.Fatalf("%s of a run that is %s was taken", what, before.Status)
	}
	if s.run.Status != before.Status && !before.Status.CanBecome(s.run.Status) {
		t.Fatalf("%s made it %s, which %s cannot become", what, s.run.Status, before.Status)
	}
	s.log = append(s.log, told...)
}

func outcomes() *rapid.Generator[runs.Outcome] {
	return rapid.Custom(func(t *rapid.T) runs.Outcome {
		return runs.Outcome{
			Status: rapid.SampledFrom([]runs.Status{runs.Completed, runs.Failed, runs.Cancelled, runs.TimedOut}).Draw(t, "status"),
			Code:   rapid.SampledFrom(event.ErrorCodes()).Draw(t, "code"), Message: rapid.String().Draw(t, "message"),
		}
	})
}

// Whatever is asked of a run, in whatever order and by whatever clock, its log tells a proper story and
// its row agrees with the story's end.
func TestARunKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := &story{run: runs.Run{Status: runs.Queued, CreatedAt: clock.Now(), Step: 2, Usage: event.Usage{InputTokens: 7}}}
		s.at = s.run.CreatedAt
		finish := func(o runs.Outcome) func(r *runs.Run, at clock.Time) ([]event.Draft, error) {
			return func(r *runs.Run, at clock.Time) ([]event.Draft, error) { return r.Finish(o, "the answer", at) }
		}
		t.Repeat(map[string]func(*rapid.T){
			"clock": func(t *rapid.T) {
				s.at = s.at.Add(time.Duration(rapid.Int64Range(-2000, 5000).Draw(t, "ms")) * time.Millisecond)
			},
			"start": func(t *rapid.T) {
				s.try(t, "Start", func(r *runs.Run, at clock.Time) ([]event.Draft, error) { return r.Start(at) })
			},
			"wait": func(t *rapid.T) {
				s.try(t, "Wait", func(r *runs.Run, _ clock.Time) ([]event.Draft, error) { return r.Wait(1, "approval") })
			},
			"resume": func(t *rapid.T) {
				s.try(t, "Resume", func(r *runs.Run, _ clock.Time) ([]event.Draft, error) { return r.Resume(1, "approval") })
			},
			"cancel": func(t *rapid.T) {
				first := s.run.Cancel
				s.try(t, "AskCancel", func(r *runs.Run, at clock.Time) ([]event.Draft, error) { return nil, r.AskCancel("ada", "enough", at) })
				if first != nil && s.run.Cancel != first {
					t.Fatalf("the second wish replaced the first")
				}
			},
			"finish": func(t *rapid.T) { s.try(t, "Finish", finish(outcomes().Draw(t, "outcome"))) },
			"message": func(t *rapid.T) {
				refused := s.run.TakesMessages() != nil
				if must := s.run.Status.Final() || s.run.Cancel != nil || s.run.IntakeClosed; refused != must {
					t.Fatalf("a message to %+v: refused %t", s.run, refused)
				}
			},
			"": func(t *rapid.T) { s.check(t) },
		})
		if !s.run.Status.Final() { // every run can be ended
			s.try(t, "Finish", finish(runs.Outcome{Status: runs.Failed, Code: event.ErrorTerminated}))
		}
		s.check(t)
		if !s.run.Status.Final() {
			t.Fatalf("the run cannot be ended: it is %s", s.run.Status)
		}
	})
}

func (s *story) check(t *rapid.T) {
	if len(s.log) == 0 {
		if s.run.Status != runs.Queued {
			t.Fatalf("the run is %s and nothing was told", s.run.Status)
		}
		return
	}
	for i, d := range s.log {
		if started := d.Type == event.RunStarted; started != (i == 0) {
			t.Fatalf("event %d is %s", i, d.Type)
		}
		if last := i == len(s.log)-1; d.Type.Final() != (last && s.run.Status.Final()) {
			t.Fatalf("event %d of %d is %s, the run is %s", i, len(s.log), d.Type, s.run.Status)
		}
		if _, err := d.Encode(); err != nil {
			t.Fatal(err)
		}
	}
	r, final := s.run, s.log[len(s.log)-1]
	if ended := r.FinishedAt != nil; ended != r.Status.Final() {
		t.Fatalf("the run is %s and has the end %v", r.Status, r.FinishedAt)
	}
	if (r.Output != nil) != (r.Status == runs.Completed) || (r.Error != nil) != (r.Status == runs.Failed || r.Status == runs.TimedOut) {
		t.Fatalf("the run is %s with output %v and error %v", r.Status, r.Output, r.Error)
	}
	switch e := final.Data.(type) {
	case event.Completed:
		if r.Status != runs.Completed || e.Output != *r.Output || e.Usage != r.Usage || e.DurationMS < 0 {
			t.Fatalf("the run is %+v, the log says %+v", r, e)
		}
	case event.Failed:
		if r.Error == nil || e.Code != r.Error.Code || e.Message != r.Error.Message || e.DurationMS < 0 || strings.ContainsRune(e.Message, 0) || !utf8.ValidString(e.Message) {
			t.Fatalf("the run is %+v, the log says %+v", r, e)
		}
	case event.Cancelled:
		if r.Status != runs.Cancelled || r.Cancel == nil || e.By != r.Cancel.By || e.StoppedMS < 0 || e.DurationMS < 0 {
			t.Fatalf("the run is %+v, the log says %+v", r, e)
		}
	}
}

// The whole table, written down a second time: from → to.
func TestTheStateMachine(t *testing.T) {
	t.Parallel()
	allowed := map[runs.Status]string{
		runs.Queued: "running failed cancelled timed_out", runs.Running: "waiting completed failed cancelled timed_out",
		runs.Waiting: "running failed cancelled timed_out", runs.Completed: "", runs.Failed: "", runs.Cancelled: "", runs.TimedOut: "",
	}
	if len(runs.Statuses()) != len(allowed) {
		t.Fatalf("the states are %v", runs.Statuses())
	}
	for _, from := range runs.Statuses() {
		if final := allowed[from] == ""; from.Final() != final {
			t.Errorf("%s: final %t", from, from.Final())
		}
		for _, to := range runs.Statuses() {
			if got, want := from.CanBecome(to), slices.Contains(strings.Fields(allowed[from]), string(to)); got != want {
				t.Errorf("%s to %s: %t, want %t", from, to, got, want)
			}
		}
	}
}

func TestAMessageOfAFailureIsBounded(t *testing.T) {
	t.Parallel()
	r := runs.Run{Status: runs.Running}
	if _, err := r.Finish(runs.Outcome{Status: runs.Failed, Code: event.ErrorModel, Message: "a\x00b\xff" + strings.Repeat("ü", 3000)}, "", clock.Now()); err != nil {
		t.Fatal(err)
	}
	if m := r.Error.Message; len(m) > 2010 || !utf8.ValidString(m) || !strings.HasPrefix(m, "a\uFFFDb\uFFFDü") || !strings.HasSuffix(m, "ü …") {
		t.Errorf("the message has %d bytes: %.20q … %q", len(m), m, m[len(m)-8:])
	}
}
