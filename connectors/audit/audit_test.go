package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/connectors/audit"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// record is what the connector reaches: a trail and the runs' summaries, each of which may fail.
type record struct {
	entries         []audit.Entry
	summed          []uuid.UUID
	refuses, forgot error
}

func (r *record) Append(_ context.Context, e audit.Entry) error {
	if r.refuses == nil {
		r.entries = append(r.entries, e)
	}
	return r.refuses
}

func (r *record) Summarise(_ context.Context, run uuid.UUID) error {
	r.summed = append(r.summed, run)
	return r.forgot
}

func told(typ event.Type, data string) connectors.Event {
	return connectors.Event{
		TenantID: uuid.New(), AgentID: uuid.New(), RunID: uuid.New(), Seq: 7, Type: typ, At: clock.Now(), Data: json.RawMessage(data),
		RequestID: "req-1", Actor: "ada",
	}
}

func TestWhatOfARunIsInTheTrail(t *testing.T) {
	t.Parallel()
	for typ, want := range map[event.Type]struct {
		data, action, outcome, actor, kept string
		ends                               bool
	}{
		event.RunStarted:   {`{"agent_version": 3}`, "run.start", "success", "ada", `"agent_version":3`, false},
		event.RunCompleted: {`{"output": "the secret answer", "steps": 2}`, "run.complete", "success", "ada", `"steps":2`, true},
		event.RunError:     {`{"code": "timeout"}`, "run.error", "failure", "ada", `"code":"timeout"`, true},
		event.RunCancelled: {`{"by": "bob", "reason": "enough"}`, "run.cancel", "cancelled", "bob", `"reason":"enough"`, true},
	} {
		r := &record{}
		c, e := audit.New(r, r), told(typ, want.data)
		if c.Mode() != connectors.Inline || !c.Wants(e) {
			t.Errorf("%s: it is not told inline", typ)
		}
		if err := connectors.Call(t.Context(), c, e); err != nil {
			t.Errorf("%s: %v", typ, err)
			continue
		}
		got := r.entries[0]
		if got.Key != e.IdempotencyKey("audit") || got.At != e.At || got.RunID != e.RunID || got.RequestID != "req-1" ||
			got.Action != want.action || got.Outcome != want.outcome || got.Actor != want.actor {
			t.Errorf("%s: %+v", typ, got)
		}
		if data := string(got.Data); !strings.Contains(data, want.kept) || !strings.Contains(data, e.AgentID.String()) || strings.Contains(data, "secret") {
			t.Errorf("%s: the data is %s", typ, data)
		}
		if len(r.entries) != 1 || want.ends != (len(r.summed) == 1 && r.summed[0] == e.RunID) {
			t.Errorf("%s: %d entries, summed up: %v", typ, len(r.entries), r.summed)
		}
	}
}

func TestWhatOfARunIsNotInTheTrail(t *testing.T) {
	t.Parallel()
	r := &record{}
	c := audit.New(r, r)
	if c.Name() != "audit" || c.Wants(told(event.RunProgress, `{}`)) {
		t.Error("it wants progress")
	}
	if err := connectors.Call(t.Context(), c, told(event.RunProgress, `{}`)); err != nil || len(r.entries) > 0 {
		t.Errorf("progress: %v, %+v", err, r.entries)
	}
}

// An error means that the event is told again.
func TestWhatFailsIsToldAgain(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	for name, c := range map[string]struct {
		record
		event connectors.Event
	}{
		"the trail is away":   {record{refuses: away}, told(event.RunStarted, `{}`)},
		"the summary is away": {record{forgot: away}, told(event.RunCompleted, `{}`)},
	} {
		if err := connectors.Call(t.Context(), audit.New(&c.record, &c.record), c.event); !errors.Is(err, away) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "the trail is away" && len(c.summed) > 0 {
			t.Errorf("%s: summed up all the same", name)
		}
	}
	for _, typ := range []event.Type{event.RunStarted, event.RunCompleted, event.RunError, event.RunCancelled} {
		r := &record{}
		if err := connectors.Call(t.Context(), audit.New(r, r), told(typ, `[]`)); err == nil || len(r.entries) > 0 {
			t.Errorf("%s without an object: %v, %+v", typ, err, r.entries)
		}
	}
}
