package connectortest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// hooked are the types that reach a method, in the order of a run.
func hooked() []event.Type {
	return []event.Type{event.RunStarted, event.RunProgress, event.RunCompleted, event.RunError, event.RunCancelled}
}

// story is a whole run that ends with the given event.
func (r Rig) story(t testing.TB, end event.Type) []connectors.Event {
	t.Helper()
	run := uuid.Must(uuid.NewV7())
	var all []connectors.Event
	for i, typ := range []event.Type{event.RunStarted, event.RunProgress, end} {
		all = append(all, r.event(t, run, int64(i+1), typ))
	}
	return all
}

// single is an event of a run of its own.
func (r Rig) single(t testing.TB, typ event.Type) connectors.Event {
	t.Helper()
	return r.event(t, uuid.Must(uuid.NewV7()), 1, typ)
}

func (r Rig) event(t testing.TB, run uuid.UUID, seq int64, typ event.Type) connectors.Event {
	t.Helper()
	workspace, thread := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	e := connectors.Event{
		TenantID: uuid.Must(uuid.NewV7()), WorkspaceID: &workspace, AgentID: uuid.Must(uuid.NewV7()), ThreadID: &thread, RunID: run,
		Seq: seq, Type: typ, At: clock.At(time.Now().Add(time.Duration(seq) * time.Millisecond)), Data: payload(t, typ),
		Metadata: json.RawMessage(`{"plan":"gold"}`), RequestID: "req-" + run.String(), Actor: "somebody",
	}
	if r.Event != nil {
		e = r.Event(e)
	}
	return e
}

func payload(t testing.TB, typ event.Type) json.RawMessage {
	t.Helper()
	usage := event.Usage{InputTokens: 12, OutputTokens: 34, CostUSD: decimal.RequireFromString("0.0056")}
	payloads := map[event.Type]any{
		event.RunStarted:   event.Started{AgentID: uuid.Must(uuid.NewV7()), AgentVersion: 3, QueuedMS: 7},
		event.RunProgress:  event.Progress{Phase: event.PhaseStep, Step: 1, Detail: event.DetailEnd, Usage: &usage},
		event.RunCompleted: event.Completed{Output: "Forty-two. “Ünï¢ode” & <markup>", Usage: usage, Steps: 1, DurationMS: 1234},
		event.RunError:     event.Failed{Code: event.ErrorModel, Message: "The model is away.", Usage: usage, Steps: 1, DurationMS: 1234},
		event.RunCancelled: event.Cancelled{By: "somebody", Reason: "enough", AskedAt: clock.Now(), StoppedMS: 5, Usage: usage, Steps: 1, DurationMS: 1234},
	}
	data, err := event.Draft{Type: typ, Data: payloads[typ]}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// odd gives what an event's data should never be. None of it is well-formed for its type.
func odd() map[string]json.RawMessage {
	const deep = 2000
	return map[string]json.RawMessage{
		"nothing":         nil,
		"empty":           {},
		"null":            json.RawMessage(`null`),
		"a list":          json.RawMessage(`[1,2]`),
		"a text":          json.RawMessage(`"text"`),
		"an empty object": json.RawMessage(`{}`),
		"cut off":         json.RawMessage(`{"output":"forty-`),
		"other types":     json.RawMessage(`{"duration_ms":"long","queued_ms":{},"stopped_ms":[],"usage":7,"by":null,"code":1,"output":false}`),
		"huge numbers":    json.RawMessage(`{"duration_ms":1e400,"queued_ms":-9223372036854775808,"steps":99999999999999999999}`),
		"no UTF-8":        json.RawMessage("{\"output\":\"\xff\xfe\"}"),
		"a zero byte":     json.RawMessage(`{"output":"\u0000","reason":"\u0000","message":"\u0000"}`),
		"deep":            json.RawMessage(strings.Repeat("[", deep) + strings.Repeat("]", deep)),
		"long":            json.RawMessage(fmt.Sprintf(`{"output":%q}`, strings.Repeat("x", 64<<10))),
		"no JSON":         json.RawMessage(`<html>`),
	}
}
