package telemetry

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

// tape is a meter that keeps what it is told.
type tape struct {
	mu    sync.Mutex
	lines []string
}

func (t *tape) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

func (t *tape) RunStarted(_ connectors.Event, queued time.Duration) {
	t.note("started after %s", queued)
}

func (t *tape) RunEnded(_ connectors.Event, status string, took time.Duration) {
	t.note("%s in %s", status, took)
}

func (t *tape) RunStopped(_ connectors.Event, took time.Duration) { t.note("stopped in %s", took) }

func eventOf(t *testing.T, typ event.Type, payload any) connectors.Event {
	t.Helper()
	data, err := event.Draft{Type: typ, Data: payload}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return connectors.Event{TenantID: uuid.New(), RunID: uuid.New(), Seq: 1, Type: typ, Data: data}
}

func TestFactsOfEachEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typ     event.Type
		payload any
		want    []string
	}{
		"start":    {event.RunStarted, event.Started{QueuedMS: 15}, []string{"started after 15ms"}},
		"progress": {event.RunProgress, event.Progress{Step: 1}, nil},
		"complete": {event.RunCompleted, event.Completed{DurationMS: 1500}, []string{"completed in 1.5s"}},
		"error":    {event.RunError, event.Failed{Code: event.ErrorModel, DurationMS: 20}, []string{"failed in 20ms"}},
		"timeout":  {event.RunError, event.Failed{Code: event.ErrorTimeout, DurationMS: 20}, []string{"timed_out in 20ms"}},
		"cancel":   {event.RunCancelled, event.Cancelled{DurationMS: 900, StoppedMS: 40}, []string{"cancelled in 900ms", "stopped in 40ms"}},
		"no hook":  {event.MessageDelta, event.Delta{Text: "a"}, nil},
	} {
		var meter tape
		if err := connectors.Call(t.Context(), New(&meter), eventOf(t, c.typ, c.payload)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(meter.lines, c.want) {
			t.Errorf("%s: metered %q, want %q", name, meter.lines, c.want)
		}
	}
}

func TestDeclaration(t *testing.T) {
	t.Parallel()
	c := New(&tape{})
	if c.Name() != "telemetry" || c.Mode() != connectors.Inline {
		t.Errorf("it is %s, %v", c.Name(), c.Mode())
	}
	for _, typ := range []event.Type{event.RunStarted, event.RunCompleted, event.RunError, event.RunCancelled, event.RunProgress} {
		if got := c.Wants(connectors.Event{Type: typ}); got != (typ != event.RunProgress) {
			t.Errorf("wants %s: %t", typ, got)
		}
	}
}

// Data that cannot be read is an error that names the event and does not repeat the data.
func TestUnreadableDataIsAnError(t *testing.T) {
	t.Parallel()
	for _, typ := range []event.Type{event.RunStarted, event.RunCompleted, event.RunError, event.RunCancelled} {
		var meter tape
		e := eventOf(t, typ, nil)
		e.Data = json.RawMessage(`{"duration_ms":"private","queued_ms":"private"}`)
		err := connectors.Call(t.Context(), New(&meter), e)
		if err == nil || !strings.Contains(err.Error(), string(typ)) || strings.Contains(err.Error(), "private") {
			t.Errorf("%s: %v", typ, err)
		}
		if len(meter.lines) > 0 {
			t.Errorf("%s: metered %q", typ, meter.lines)
		}
	}
}

func TestARepeatIsCountedOnce(t *testing.T) {
	t.Parallel()
	var meter tape
	c := New(&meter)
	e := eventOf(t, event.RunCompleted, event.Completed{DurationMS: 1})
	other := e
	other.Seq++
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _ = c.OnComplete(t.Context(), e) })
	}
	wg.Wait()
	if err := c.OnComplete(t.Context(), other); err != nil {
		t.Error(err)
	}
	if len(meter.lines) != 2 {
		t.Errorf("two events were counted %d times", len(meter.lines))
	}
}

// An event that could not be read has not been counted: repaired, it is.
func TestARefusedEventIsNotRemembered(t *testing.T) {
	t.Parallel()
	var meter tape
	c := New(&meter)
	e := eventOf(t, event.RunStarted, event.Started{})
	broken := e
	broken.Data = json.RawMessage(`{`)
	if c.OnStart(t.Context(), broken) == nil {
		t.Error("no error")
	}
	if err := c.OnStart(t.Context(), e); err != nil || len(meter.lines) != 1 {
		t.Errorf("%v, metered %q", err, meter.lines)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	r := newRecent(3)
	at := func(seq int64) connectors.Event { return connectors.Event{Seq: seq} }
	for seq := range int64(10) {
		if !r.first(at(seq)) {
			t.Errorf("%d is not new", seq)
		}
	}
	if len(r.known) != 3 || r.first(at(9)) || r.first(at(7)) || !r.first(at(6)) {
		t.Errorf("it remembers %v", r.known)
	}
}
