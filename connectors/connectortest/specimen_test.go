package connectortest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

const secret = "hunter2/the+key"

// world is what a specimen reports to: it works, does not answer, goes on answering, or fails.
type world struct {
	kind string
	gone chan struct{} // closed when the test ends: what hangs then ends
	lock chan struct{} // for a flaw that keeps it

	mu      sync.Mutex
	seen    map[string]bool
	effects []Effect
}

func (w *world) received() []Effect {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.effects)
}

// receive takes an event, once per key.
func (w *world) receive(e connectors.Event, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if key != "" && w.seen[key] {
		return
	}
	w.seen[key] = true
	w.effects = append(w.effects, Effect{RunID: e.RunID, Type: e.Type})
}

// specimen is a sound connector over a world, with what a flaw needs to break it.
type specimen struct {
	*world
	name  func() string
	mode  func() connectors.Mode
	wants func(e connectors.Event) bool
	// before is asked first and may answer in the connector's place.
	before func(ctx context.Context, w *world, e connectors.Event) (err error, answered bool)
	key    func(e connectors.Event) string
}

func sound(w *world) *specimen {
	return &specimen{
		world: w,
		name:  func() string { return "specimen" },
		mode:  func() connectors.Mode { return connectors.Inline },
		wants: func(connectors.Event) bool { return true },
		key:   func(e connectors.Event) string { return e.IdempotencyKey("specimen") },
	}
}

func (s *specimen) Name() string                                          { return s.name() }
func (s *specimen) Mode() connectors.Mode                                 { return s.mode() }
func (s *specimen) Wants(e connectors.Event) bool                         { return s.wants(e) }
func (s *specimen) OnStart(ctx context.Context, e connectors.Event) error { return s.take(ctx, e) }
func (s *specimen) OnProgress(ctx context.Context, e connectors.Event) error {
	return s.take(ctx, e)
}

func (s *specimen) OnComplete(ctx context.Context, e connectors.Event) error {
	return s.take(ctx, e)
}
func (s *specimen) OnError(ctx context.Context, e connectors.Event) error  { return s.take(ctx, e) }
func (s *specimen) OnCancel(ctx context.Context, e connectors.Event) error { return s.take(ctx, e) }

func (s *specimen) take(ctx context.Context, e connectors.Event) error {
	if s.before != nil {
		if err, answered := s.before(ctx, s.world, e); answered {
			return err
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &fields); err != nil {
		return fmt.Errorf("read %s: %w", e.Type, connectors.ErrRefused)
	}
	switch s.kind {
	case "stalled", "slow":
		<-ctx.Done()
		return ctx.Err()
	case "broken":
		return errors.New("the other side is away")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.receive(e, s.key(e))
	return nil
}

// subject is the specimen in each of its worlds, with a flaw.
func subject(flaw func(*specimen)) Subject {
	in := func(kind string) func(t testing.TB) Rig {
		return func(t testing.TB) Rig {
			w := &world{kind: kind, gone: make(chan struct{}), lock: make(chan struct{}, 1), seen: map[string]bool{}}
			t.Cleanup(func() { close(w.gone) })
			s := sound(w)
			flaw(s)
			return Rig{Connector: s, Effects: w.received}
		}
	}
	return Subject{
		New: in("well"), Stalled: in("stalled"), Slow: in("slow"), Broken: map[string]func(testing.TB) Rig{"away": in("broken")}, Secrets: []string{secret},
	}
}

type (
	before = func(ctx context.Context, w *world, e connectors.Event) (err error, answered bool)
	flaw   struct {
		does  func(*specimen)
		found []string // the checks that must find it, and no other
	}
)

// flaws are connectors as they should not be, by what is wrong with them.
func flaws() map[string]flaw {
	first := func(f before) func(*specimen) { return func(s *specimen) { s.before = f } }
	return map[string]flaw{
		"none":                     {func(*specimen) {}, nil},
		"a name with a space":      {func(s *specimen) { s.name = func() string { return "my connector" } }, []string{"name"}},
		"a name that counts calls": {func(s *specimen) { n := calls(); s.name = func() string { return fmt.Sprintf("c%d", n()) } }, []string{"name"}},
		"a mode that changes": {func(s *specimen) {
			n := calls()
			s.mode = func() connectors.Mode { return connectors.Mode(n() % 2) }
		}, []string{"declaration"}},
		"a mode that is none": {func(s *specimen) { s.mode = func() connectors.Mode { return 7 } }, []string{"declaration"}},
		"wants by chance":     {func(s *specimen) { n := calls(); s.wants = func(connectors.Event) bool { return n()%2 == 1 } }, []string{"declaration"}},
		"wants by asking": {func(s *specimen) {
			s.wants = func(connectors.Event) bool { <-time.After(time.Millisecond); return true }
		}, []string{"declaration"}},
		"wants that panics": {func(s *specimen) {
			s.wants = func(e connectors.Event) bool { return e.Type.Hook() != event.HookNone && e.Data[0] == '{' }
		}, []string{"declaration"}},
		"wants nothing": {func(s *specimen) { s.wants = func(connectors.Event) bool { return false } }, []string{"declaration", "hooks"}},
		"a hook that does nothing": {first(func(_ context.Context, _ *world, e connectors.Event) (error, bool) {
			return nil, e.Type == event.RunError
		}), []string{"hooks", "time-out", "failure"}},
		"a hook that leaves two": {first(func(_ context.Context, w *world, e connectors.Event) (error, bool) {
			if e.Type == event.RunCancelled && w.kind == "well" && json.Valid(e.Data) {
				w.receive(e, e.IdempotencyKey("another"))
			}
			return nil, false
		}), []string{"hooks", "concurrency"}},
		"demands a beginning": {first(demandsBeginning()), []string{"order"}},
		"the last comes first": {first(func(_ context.Context, w *world, e connectors.Event) (error, bool) {
			if w.kind != "well" || !json.Valid(e.Data) {
				return nil, false
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if key := e.IdempotencyKey("specimen"); !w.seen[key] {
				w.seen[key] = true
				w.effects = append([]Effect{{RunID: e.RunID, Type: e.Type}}, w.effects...)
			}
			return nil, true
		}), []string{"order"}},
		"no key":            {func(s *specimen) { s.key = func(connectors.Event) string { return "" } }, []string{"repeat"}},
		"a key per attempt": {func(s *specimen) { n := calls(); s.key = func(connectors.Event) string { return fmt.Sprint(n()) } }, []string{"repeat"}},
		"refuses repeats": {first(func(_ context.Context, w *world, e connectors.Event) (error, bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.seen[e.IdempotencyKey("specimen")] {
				return errors.New("told already"), true
			}
			return nil, false
		}), []string{"repeat"}},
		"writes into the event": {first(func(_ context.Context, _ *world, e connectors.Event) (error, bool) {
			if len(e.Metadata) > 2 {
				e.Metadata[1] = ' '
			}
			return nil, false
		}), []string{"untouched"}},
		"writes into its ids": {first(func(_ context.Context, _ *world, e connectors.Event) (error, bool) {
			if e.ThreadID != nil {
				e.ThreadID[0]++
			}
			return nil, false
		}), []string{"untouched"}},
		"takes two seconds": {first(func(ctx context.Context, _ *world, _ connectors.Event) (error, bool) {
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
			return nil, false
		}), []string{"pace"}},
		"hears no cancel": {first(inWorlds("stalled", func(ctx context.Context, w *world) error {
			if end, ok := ctx.Deadline(); ok {
				return waitFor(w, time.Until(end))
			}
			return waitFor(w, time.Hour)
		})), []string{"cancellation"}},
		"works on after a cancel": {first(func(ctx context.Context, w *world, _ connectors.Event) (error, bool) {
			if errors.Is(ctx.Err(), context.Canceled) && w.kind == "well" {
				return waitFor(w, time.Hour), true
			}
			return nil, false
		}), []string{"cancellation"}},
		"knows no deadline": {first(inWorlds("stalled", func(ctx context.Context, w *world) error {
			cancelled := make(chan struct{})
			defer context.AfterFunc(ctx, func() {
				if errors.Is(ctx.Err(), context.Canceled) {
					close(cancelled)
				}
			})()
			select {
			case <-cancelled:
			case <-w.gone:
			}
			return context.Canceled
		})), []string{"time-out"}},
		"takes silence for consent": {first(inWorlds("stalled", func(ctx context.Context, _ *world) error {
			<-ctx.Done()
			return nil
		})), []string{"time-out"}},
		"reads to the end":    {first(inWorlds("slow", func(_ context.Context, w *world) error { return waitFor(w, time.Hour) })), []string{"slow remote"}},
		"swallows failures":   {first(inWorlds("broken", func(context.Context, *world) error { return nil })), []string{"failure"}},
		"hangs when it fails": {first(inWorlds("broken", func(_ context.Context, w *world) error { return waitFor(w, time.Hour) })), []string{"failure"}},
		"tells its key": {first(inWorlds("broken", func(context.Context, *world) error {
			return fmt.Errorf("post with key %s: refused", secret)
		})), []string{"secrets"}},
		"tells its key in a cause": {first(inWorlds("stalled", func(ctx context.Context, _ *world) error {
			<-ctx.Done()
			return &opaque{fmt.Errorf("authorization: Basic %s: %w", base64.StdEncoding.EncodeToString([]byte(secret)), ctx.Err())}
		})), []string{"secrets"}},
		"tells its key about bad data": {first(func(_ context.Context, _ *world, e connectors.Event) (error, bool) {
			return fmt.Errorf("template %q: bad data", secret), !json.Valid(e.Data)
		}), []string{"secrets"}},
		"panics over null": {first(func(_ context.Context, _ *world, e connectors.Event) (error, bool) {
			var fields map[string]any
			if json.Unmarshal(e.Data, &fields) == nil {
				fields["at"] = e.At
			}
			return nil, false
		}), []string{"panics"}},
		"panics without a thread": {first(func(_ context.Context, _ *world, e connectors.Event) (error, bool) {
			_ = e.ThreadID.String()
			return nil, false
		}), []string{"panics"}},
		"dies of garbage": {first(diesOfGarbage()), []string{"garbage"}},
		"hangs over garbage": {first(func(_ context.Context, w *world, e connectors.Event) (error, bool) {
			if json.Valid(e.Data) {
				return nil, false
			}
			return waitFor(w, time.Hour), true
		}), []string{"garbage"}},
		"loses what comes at once": {first(losesWhatComesAtOnce()), []string{"concurrency"}},
	}
}

// inWorlds answers in one kind of world for events that are well-formed.
func inWorlds(kind string, answer func(ctx context.Context, w *world) error) before {
	return func(ctx context.Context, w *world, e connectors.Event) (error, bool) {
		if w.kind != kind || !json.Valid(e.Data) {
			return nil, false
		}
		return answer(ctx, w), true
	}
}

// waitFor waits without looking at a context.
func waitFor(w *world, d time.Duration) error {
	select {
	case <-w.gone:
	case <-time.After(d):
	}
	return context.DeadlineExceeded
}

// calls counts up from one, for many goroutines.
func calls() func() int {
	var (
		mu sync.Mutex
		n  int
	)
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		n++
		return n
	}
}

func demandsBeginning() before {
	return func(_ context.Context, w *world, e connectors.Event) (error, bool) {
		if e.Seq <= 1 || w.kind != "well" || !json.Valid(e.Data) {
			return nil, false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		begun := slices.ContainsFunc(w.effects, func(x Effect) bool { return x.RunID == e.RunID && x.Type == event.RunStarted })
		return errors.New("no such run"), !begun
	}
}

// diesOfGarbage keeps its lock when it meets bad data.
func diesOfGarbage() before {
	return func(_ context.Context, w *world, e connectors.Event) (error, bool) {
		if w.kind != "well" {
			return nil, false
		}
		select {
		case w.lock <- struct{}{}:
		case <-w.gone:
			return nil, true
		}
		if !json.Valid(e.Data) {
			return errors.New("bad data"), true
		}
		<-w.lock
		return nil, false
	}
}

// losesWhatComesAtOnce reads, thinks and writes, each under a lock but not all under one.
func losesWhatComesAtOnce() before {
	return func(_ context.Context, w *world, e connectors.Event) (error, bool) {
		if w.kind != "well" || !json.Valid(e.Data) {
			return nil, false
		}
		w.mu.Lock()
		key, before := e.IdempotencyKey("specimen"), slices.Clone(w.effects)
		repeated := w.seen[key]
		w.seen[key] = true
		w.mu.Unlock()
		<-time.After(time.Microsecond)
		if repeated {
			return nil, true
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.effects = append(before, Effect{RunID: e.RunID, Type: e.Type})
		return nil, true
	}
}

// opaque is an error that does not show its cause, but has it.
type opaque struct{ cause error }

func (o *opaque) Error() string { return "the other side is away" }
func (o *opaque) Unwrap() error { return o.cause }
