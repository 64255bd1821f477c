package integration

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/tests/harness"
)

// listener is a connector of somebody else's. It does as it is told and keeps what it heard.
type listener struct {
	name string
	mode connectors.Mode
	do   func(attempt int) error

	mu    sync.Mutex
	heard []connectors.Event
	tries int
	took  chan struct{} // one for each event that was taken
}

func newListener(name string, mode connectors.Mode, do func(attempt int) error) *listener {
	return &listener{name: name, mode: mode, do: do, took: make(chan struct{}, 1000)}
}

func (l *listener) Name() string                                           { return l.name }
func (l *listener) Mode() connectors.Mode                                  { return l.mode }
func (l *listener) Wants(e connectors.Event) bool                          { return e.Type != event.RunProgress }
func (l *listener) OnStart(_ context.Context, e connectors.Event) error    { return l.hear(e) }
func (l *listener) OnProgress(_ context.Context, e connectors.Event) error { return l.hear(e) }
func (l *listener) OnComplete(_ context.Context, e connectors.Event) error { return l.hear(e) }
func (l *listener) OnError(_ context.Context, e connectors.Event) error    { return l.hear(e) }
func (l *listener) OnCancel(_ context.Context, e connectors.Event) error   { return l.hear(e) }

func (l *listener) hear(e connectors.Event) error {
	l.mu.Lock()
	l.tries++
	attempt := l.tries
	l.mu.Unlock()
	if l.do != nil {
		if err := l.do(attempt); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, e)
	l.took <- struct{}{}
	return nil
}

// of waits until n events were taken and gives those of the run, each key once, by their place in the log.
func (l *listener) of(t *testing.T, run uuid.UUID, n int) []event.Type {
	t.Helper()
	limit := time.NewTimer(within)
	defer limit.Stop()
	for range n {
		select {
		case <-l.took:
		case <-limit.C:
			t.Fatalf("%s heard too little", l.name)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	events := slices.Clone(l.heard)
	slices.SortFunc(events, func(a, b connectors.Event) int { return int(a.Seq - b.Seq) })
	events = slices.CompactFunc(events, func(a, b connectors.Event) bool { return a.IdempotencyKey("x") == b.IdempotencyKey("x") })
	var types []event.Type
	for _, e := range events {
		if e.RunID == run {
			types = append(types, e.Type)
		}
	}
	return types
}

// Connectors of a program's own are told beside ours; one that panics and one that fails harm neither the
// run nor the others.
func TestOwnConnectorsHearOfARun(t *testing.T) {
	t.Parallel()
	near := newListener("near", connectors.Inline, nil)
	mad := newListener("mad", connectors.Inline, func(int) error { panic("at the disco") })
	far := newListener("far", connectors.Remote, func(attempt int) error {
		if attempt == 1 {
			return errors.New("not now")
		}
		return nil
	})
	s := harness.NewSystem(t)
	x := s.Start(t, app.Options{API: true, Worker: true, Connectors: []connectors.RuntimeConnector{mad, near, far}}).NewTenant(t, agents.Config{})
	run := x.StartRun(t, map[string]any{"input": "Hello."})
	if events := wholeLog(t, x, run.ID); last(events).Type != event.RunCompleted {
		t.Fatalf("the run ended with %s", last(events).Type)
	}
	want := []event.Type{event.RunStarted, event.RunCompleted}
	for _, l := range []*listener{near, far} {
		if got := l.of(t, run.ID, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s heard %v, want %v", l.name, got, want)
		}
	}
}

// Datadog's agent, here a socket of ours, is told of a run, and of what is left when the process stops.
func TestDatadogHearsOfARun(t *testing.T) {
	t.Parallel()
	agent, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = agent.Close() }()
	s := harness.NewSystem(t)
	s.Config.DogStatsD = config.DogStatsD{URL: "udp://" + agent.LocalAddr().String()}
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	wholeLog(t, x, x.StartRun(t, map[string]any{"input": "Hello."}).ID)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	missing := []string{
		"lari.runs.started:1|c|#tenant_id:" + x.ID.String() + ",workspace_id:_none",
		"lari.runs.finished:1|c|#tenant_id:" + x.ID.String() + ",workspace_id:_none,status:completed",
		"lari.run.duration_seconds:", "lari.run.queue_wait_seconds:", "lari.model.tokens:", "lari.connector.attempts:1|c|#connector:audit,hook:onStart,outcome:delivered",
	}
	if err := agent.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	datagram := make([]byte, 64<<10)
	for len(missing) > 0 {
		n, _, err := agent.ReadFrom(datagram)
		if err != nil {
			t.Fatalf("the agent was not told %q: %v", missing, err)
		}
		missing = slices.DeleteFunc(missing, func(line string) bool { return strings.Contains(string(datagram[:n]), line) })
	}
}
