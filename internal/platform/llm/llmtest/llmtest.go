// Package llmtest is the conformance suite of the llm port: every provider passes it.
package llmtest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larirun/lari/internal/platform/llm"
)

// Subject arranges the situations of the suite for one provider. Each function gives a provider of
// its own, whose parts end with the test's cleanup.
type Subject struct {
	// Short is answered with exactly the text given back.
	Short func(t *testing.T) (llm.Provider, llm.Request, string)
	// Long is answered with text that streams for at least five seconds when nobody stops it.
	Long func(t *testing.T) (llm.Provider, llm.Request)
	// ToolCalls is answered with the calls given back, at least two; an empty id stands for any.
	ToolCalls func(t *testing.T) (llm.Provider, llm.Request, []llm.ToolCall)
}

// patience bounds each situation: a provider that hangs fails the test.
const patience = 10 * time.Second

// Run runs the suite. It must not run in parallel with other tests of its package: it looks for
// leaked goroutines.
func Run(t *testing.T, s Subject) {
	t.Helper()
	t.Run("text streams in order and done comes last", func(t *testing.T) { s.text(t) })
	t.Run("tool calls come whole, before done", func(t *testing.T) { s.toolCalls(t) })
	t.Run("a context that ended before the turn", func(t *testing.T) { s.cancelledBefore(t) })
	t.Run("cancel in the middle of the stream", func(t *testing.T) { s.cancelled(t) })
	t.Run("deadline in the middle of the stream", func(t *testing.T) { s.deadline(t) })
	t.Run("breaking out of the loop leaks nothing", func(t *testing.T) { s.breakOut(t) })
	t.Run("many turns at once", func(t *testing.T) { s.concurrent(t) })
}

// Turn is a whole turn, collected.
type Turn struct {
	Text      string
	Reasoning string
	Chunks    int // of text
	Calls     []llm.ToolCall
	Done      *llm.Done
	Err       error
}

// Collect streams one turn to its end and fails the test when a rule of the port is broken: a chunk
// with none or several fields set, or anything after Done or an error.
func Collect(ctx context.Context, t *testing.T, p llm.Provider, req llm.Request) Turn {
	t.Helper()
	var (
		turn Turn
		text strings.Builder
	)
	for chunk, err := range p.Stream(ctx, req) {
		if turn.Done != nil || turn.Err != nil {
			t.Fatalf("chunk %+v, error %v after the end of the turn", chunk, err)
		}
		if err != nil {
			turn.Err = err
			continue
		}
		set := 0
		if chunk.Text != "" {
			set++
			turn.Chunks++
			text.WriteString(chunk.Text)
		}
		if chunk.Reasoning != "" {
			set++
			turn.Reasoning += chunk.Reasoning
		}
		if chunk.Working {
			set++
		}
		if chunk.ToolCall != nil {
			set++
			turn.Calls = append(turn.Calls, *chunk.ToolCall)
		}
		if chunk.Done != nil {
			set++
			turn.Done = chunk.Done
		}
		if set != 1 {
			t.Fatalf("chunk %+v has %d fields set, want exactly one", chunk, set)
		}
	}
	if turn.Done == nil && turn.Err == nil {
		t.Fatal("the sequence ended with neither Done nor an error")
	}
	turn.Text = text.String()
	return turn
}

func (s Subject) text(t *testing.T) {
	p, req, want := s.Short(t)
	turn := Collect(t.Context(), t, p, req)
	switch {
	case turn.Err != nil:
		t.Fatalf("the turn failed: %v", turn.Err)
	case turn.Text != want:
		t.Errorf("text %q, want %q", turn.Text, want)
	case turn.Chunks < 2:
		t.Errorf("the text came in %d pieces: it did not stream", turn.Chunks)
	case turn.Done.Reason != llm.FinishStop:
		t.Errorf("reason %q, want stop", turn.Done.Reason)
	case turn.Done.Usage.InputTokens <= 0 || turn.Done.Usage.OutputTokens <= 0:
		t.Errorf("usage %+v, want both counted", turn.Done.Usage)
	case turn.Done.Model == "":
		t.Error("the turn does not say which model answered")
	}
}

func (s Subject) toolCalls(t *testing.T) {
	p, req, want := s.ToolCalls(t)
	turn := Collect(t.Context(), t, p, req)
	if turn.Err != nil {
		t.Fatalf("the turn failed: %v", turn.Err)
	}
	if turn.Done.Reason != llm.FinishToolCalls {
		t.Errorf("reason %q, want tool_calls", turn.Done.Reason)
	}
	if len(turn.Calls) != len(want) {
		t.Fatalf("calls %+v, want %+v", turn.Calls, want)
	}
	seen := map[string]bool{}
	for i, got := range turn.Calls {
		if got.ID == "" || seen[got.ID] {
			t.Errorf("call %d has the id %q: empty or twice", i, got.ID)
		}
		seen[got.ID] = true
		expected := want[i]
		if expected.ID == "" {
			expected.ID = got.ID
		}
		if got != expected {
			t.Errorf("call %d is %+v, want %+v", i, got, expected)
		}
	}
}

func (s Subject) cancelledBefore(t *testing.T) {
	p, req := s.Long(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	turn := Collect(ctx, t, p, req)
	if !errors.Is(turn.Err, context.Canceled) || turn.Chunks > 0 {
		t.Errorf("%d chunks and the error %v, want none and context.Canceled", turn.Chunks, turn.Err)
	}
}

func (s Subject) cancelled(t *testing.T) {
	p, req := s.Long(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	chunks, last := 0, error(nil)
	for chunk, err := range p.Stream(ctx, req) {
		if err != nil {
			last = err
			continue
		}
		if chunk.Done != nil {
			t.Fatal("the turn ended well although it was cancelled")
		}
		if chunks++; chunks == 3 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Fatalf("the stream ended with %v, want context.Canceled", last)
	}
	used, ok := llm.PartialUsage(last)
	if !ok || used.OutputTokens <= 0 || used.InputTokens <= 0 {
		t.Errorf("usage until the cancel is %+v, %t; want both counted", used, ok)
	}
}

func (s Subject) deadline(t *testing.T) {
	p, req := s.Long(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	turn := Collect(ctx, t, p, req)
	if !errors.Is(turn.Err, context.DeadlineExceeded) {
		t.Errorf("the stream ended with %v, want context.DeadlineExceeded", turn.Err)
	}
}

func (s Subject) breakOut(t *testing.T) {
	before := goleak.IgnoreCurrent()
	// The inner test ends, with its cleanups, before goroutines are counted.
	t.Run("break", func(t *testing.T) {
		p, req := s.Long(t)
		for range 3 {
			chunks := 0
			for _, err := range p.Stream(t.Context(), req) {
				if err != nil {
					t.Fatalf("the turn failed: %v", err)
				}
				if chunks++; chunks == 2 {
					break
				}
			}
		}
	})
	goleak.VerifyNone(t, before)
}

func (s Subject) concurrent(t *testing.T) {
	p, req, want := s.Short(t)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			var text strings.Builder
			for chunk, err := range p.Stream(t.Context(), req) {
				if err != nil {
					t.Errorf("the turn failed: %v", err)
					return
				}
				text.WriteString(chunk.Text)
			}
			if text.String() != want {
				t.Errorf("text %q, want %q", text.String(), want)
			}
		})
	}
	group.Wait()
}
