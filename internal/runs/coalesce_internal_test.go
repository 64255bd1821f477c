package runs

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/larirun/lari/internal/event"
)

func added(run uuid.UUID, draft event.Draft) addition { return addition{run: run, draft: draft} }

func delta(message string, attempt int, text string) event.Draft {
	return event.Draft{Type: event.MessageDelta, Data: event.Delta{MessageID: message, Step: 1, Attempt: attempt, Text: text}}
}

func progressed() event.Draft {
	return event.Draft{Type: event.RunProgress, Data: event.Progress{Phase: event.PhaseStep}}
}

func TestCoalesce(t *testing.T) {
	t.Parallel()
	a, b := uuid.New(), uuid.New()
	for name, c := range map[string]struct {
		batch []addition
		want  []string // text of deltas, type of others
	}{
		"nothing":             {nil, nil},
		"one":                 {[]addition{added(a, delta("m", 1, "x"))}, []string{"x"}},
		"one message":         {[]addition{added(a, delta("m", 1, "x")), added(a, delta("m", 1, "y")), added(a, delta("m", 1, "z"))}, []string{"xyz"}},
		"two messages":        {[]addition{added(a, delta("m", 1, "x")), added(a, delta("n", 1, "y"))}, []string{"x", "y"}},
		"two attempts":        {[]addition{added(a, delta("m", 1, "x")), added(a, delta("m", 2, "y"))}, []string{"x", "y"}},
		"something between":   {[]addition{added(a, delta("m", 1, "x")), added(a, progressed()), added(a, delta("m", 1, "y"))}, []string{"x", "run_progress", "y"}},
		"others are no delta": {[]addition{added(a, progressed()), added(a, progressed())}, []string{"run_progress", "run_progress"}},
		"another run between": {[]addition{added(a, delta("m", 1, "x")), added(b, delta("n", 1, "1")), added(a, delta("m", 1, "y")), added(b, delta("n", 1, "2"))}, []string{"xy", "12"}},
		"the same id elsewhere": {
			[]addition{added(a, delta("m", 1, "x")), added(b, delta("m", 1, "y"))}, []string{"x", "y"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := texts(c.batch)
			if got := texts(coalesce(c.batch)); strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if after := texts(c.batch); strings.Join(after, "|") != strings.Join(before, "|") {
				t.Errorf("the batch itself was changed from %q to %q: a second try would write it twice", before, after)
			}
		})
	}
}

func texts(batch []addition) []string {
	var all []string
	for _, a := range batch {
		if d, ok := a.draft.Data.(event.Delta); ok {
			all = append(all, d.Text)
		} else {
			all = append(all, string(a.draft.Type))
		}
	}
	return all
}

// For each run, joining changes neither the order nor the text of what was added, and no two deltas of
// one message are left side by side.
func TestCoalesceKeepsEveryRunsStory(t *testing.T) {
	t.Parallel()
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(rt, "n")
		var batch []addition
		for range n {
			run := rapid.SampledFrom(ids).Draw(rt, "run")
			if rapid.IntRange(0, 5).Draw(rt, "kind") == 0 {
				batch = append(batch, added(run, progressed()))
				continue
			}
			batch = append(batch, added(run, delta(
				rapid.SampledFrom([]string{"m", "n"}).Draw(rt, "message"), rapid.IntRange(1, 2).Draw(rt, "attempt"),
				rapid.StringN(0, 3, -1).Draw(rt, "text"))))
		}
		joined := coalesce(batch)
		for _, run := range ids {
			got, pieces := story(joined, run)
			want, _ := story(batch, run)
			if got != want {
				rt.Fatalf("the story of a run was %q and is %q", want, got)
			}
			if least := strings.Count(got, "["); pieces != least {
				rt.Fatalf("%d events are left where %d will do: %s", pieces, least, got)
			}
		}
	})
}

// story tells what a run's events say, whatever pieces its deltas are in, and counts the events.
func story(batch []addition, run uuid.UUID) (told string, pieces int) {
	var b strings.Builder
	open := ""
	for _, a := range batch {
		if a.run != run {
			continue
		}
		pieces++
		d, ok := a.draft.Data.(event.Delta)
		if !ok {
			open = ""
			b.WriteString("[" + string(a.draft.Type) + "]")
			continue
		}
		if key := d.MessageID + string(rune('0'+d.Attempt)); key != open {
			open = key
			b.WriteString("[" + key + "]")
		}
		b.WriteString(strings.ReplaceAll(d.Text, "[", "("))
	}
	return b.String(), pieces
}
