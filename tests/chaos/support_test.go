// Package chaos kills processes of the running program, as the kernel would, and demands that nobody who
// watches a run can tell, but for a pause.
package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/harness"
)

// program is the built cmd/lari.
var program string

func TestMain(m *testing.M) { os.Exit(harness.WithProgram(m, &program)) }

// newTenant makes a tenant that speaks to the API at the URL.
func newTenant(t *testing.T, s *harness.System, url string) *harness.Tenant {
	t.Helper()
	p := s.Start(t, app.Options{})
	x := p.NewTenant(t, agents.Config{})
	x.URL = url
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	return x
}

// follower watches one run over SSE like a browser does: when the connection breaks it connects again and
// says which event it saw last.
type follower struct {
	x     harness.Tenant
	run   uuid.UUID
	urls  func() string // where the API is now
	watch func(event.Event)

	events     []event.Event
	reconnects int
}

// errSeam says that the server did not go on exactly where the follower was.
var errSeam = errors.New("wrong event")

// patience is how long a run may take, all in all.
const patience = 90 * time.Second

// follow returns after the final event and the end of its connection.
func (f *follower) follow(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		err := f.connect(ctx)
		if errors.Is(err, errSeam) {
			return err
		}
		if n := len(f.events); n > 0 && f.events[n-1].Final() {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ended after %s and %d events: %w", patience, len(f.events), err)
		case <-time.After(100 * time.Millisecond): // as a browser does, which waits longer
		}
		f.reconnects++
	}
}

func (f *follower) connect(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.urls()+"/v1/runs/"+f.run.String()+"/stream", http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+f.x.Token)
	if n := len(f.events); n > 0 {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(f.events[n-1].Seq, 10))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	var id int64
	lines := bufio.NewReader(resp.Body)
	for {
		text, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(text, "\n"), ": ")
		switch name {
		case "id":
			if id, err = strconv.ParseInt(value, 10, 64); err != nil {
				return fmt.Errorf("%w: id %q", errSeam, value)
			}
		case "data":
			var e event.Event
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				return fmt.Errorf("%w: %w", errSeam, err)
			}
			if e.Seq != id || id != int64(len(f.events)+1) {
				return fmt.Errorf("%w: %d with id %d after %d events", errSeam, e.Seq, id, len(f.events))
			}
			f.events = append(f.events, e)
			f.watch(e)
		}
	}
}

// told checks that the log of a run of one message tells it exactly: the deltas that no restart has taken
// back are the text, and the text is whole. It gives how often the message was begun again.
func told(t *testing.T, events []event.Event, text string) (restarts int, err error) {
	t.Helper()
	if err := harness.Whole(events); err != nil {
		return 0, err
	}
	var streamed strings.Builder
	for _, e := range events {
		switch e.Type {
		case event.MessageDelta:
			streamed.WriteString(harness.Payload[event.Delta](t, e).Text)
		case event.AttemptRestarted:
			restarts++
			streamed.Reset()
		case event.MessageCompleted:
			if m := harness.Payload[event.Message](t, e); m.Text != text || m.Partial {
				return restarts, fmt.Errorf("the message stands as %q", m.Text)
			}
		case event.RunStarted, event.RunProgress, event.RunCompleted, event.RunError, event.RunCancelled, event.ToolCallStarted,
			event.ToolCallCompleted, event.ApprovalRequested, event.ApprovalResolved, event.MessageReceived:
		}
	}
	if streamed.String() != text {
		return restarts, fmt.Errorf("the deltas say %q", streamed.String())
	}
	want := []event.Type{event.RunStarted, event.RunProgress, event.MessageCompleted, event.RunProgress, event.RunCompleted}
	types := slices.DeleteFunc(harness.Types(events), func(typ event.Type) bool { return typ == event.AttemptRestarted })
	if !slices.Equal(types, want) {
		return restarts, fmt.Errorf("the log is %v", types)
	}
	return restarts, nil
}

// words is a text of n words, each another.
func words(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("w%d", i+1)
	}
	return strings.Join(all, " ")
}
