package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

var update = flag.Bool("update", false, "write testdata/events.golden.jsonl")

func id(last byte) uuid.UUID {
	return uuid.UUID{0x01, 0x93, 0, 0, 0, 0, 0x70, 0, 0x80, 15: last}
}

// samples has a payload of every type, with every field set, in the order of a log; types with fields
// that exclude each other come twice.
func samples() []event.Draft {
	at := clock.At(time.Date(2026, 11, 22, 15, 4, 5, 678e6, time.UTC))
	thread := id(9)
	usage := event.Usage{InputTokens: 120, OutputTokens: 45, CostUSD: decimal.RequireFromString("0.00123"), Estimated: true}
	return []event.Draft{
		{Type: event.RunStarted, Data: event.Started{AgentID: id(2), AgentVersion: 3, ThreadID: &thread, QueuedMS: 12}},
		{Type: event.RunProgress, Data: event.Progress{Phase: event.PhaseStep, Step: 1, Detail: event.DetailBegin}},
		{Type: event.MessageDelta, Data: event.Delta{MessageID: "m1", Step: 1, Attempt: 1, Text: "Hel"}},
		{Type: event.ReasoningDelta, Data: event.Delta{MessageID: "m1", Step: 1, Attempt: 1, Text: "So"}},
		{Type: event.AttemptRestarted, Data: event.Restarted{MessageID: "m1", Step: 1, Attempt: 2}},
		{Type: event.MessageCompleted, Data: event.Message{MessageID: "m1", Step: 1, Text: "Hello <b> & bye", Partial: true, FinishReason: "length", Usage: usage}},
		{Type: event.RunProgress, Data: event.Progress{Phase: event.PhaseToolCall, Step: 1, Detail: event.DetailEnd, Name: "calculator", Usage: &usage, FinishReason: "tool_calls"}},
		{Type: event.RunProgress, Data: event.Progress{Phase: event.PhaseQuota, Step: 1, Detail: event.DetailSoftLimit, Name: "tokens_per_month"}},
		{Type: event.ApprovalRequested, Data: event.ApprovalAsked{ApprovalID: id(3), ToolCallID: id(4), Step: 1, Name: "http_get", Arguments: json.RawMessage(`{"url":"https://example.com"}`), ExpiresAt: at}},
		{Type: event.ApprovalResolved, Data: event.ApprovalAnswer{ApprovalID: id(3), ToolCallID: id(4), Decision: "approved", By: "user:1", Reason: "fine", Arguments: json.RawMessage(`{"url":"https://example.org"}`)}},
		{Type: event.ToolCallStarted, Data: event.ToolStarted{ToolCallID: id(4), Step: 1, Name: "http_get", Arguments: json.RawMessage(`{"url":"https://example.org"}`)}},
		{Type: event.ToolCallCompleted, Data: event.ToolCompleted{ToolCallID: id(4), Step: 1, Name: "http_get", Result: "a page", DurationMS: 31}},
		{Type: event.ToolCallCompleted, Data: event.ToolCompleted{ToolCallID: id(5), Step: 1, Name: "http_get", Error: "no answer", DurationMS: 32}},
		{Type: event.MessageReceived, Data: event.Received{MessageID: id(6), Text: "only this year", By: "user:1"}},
		{Type: event.RunCompleted, Data: event.Completed{Output: "Hello", FinishReason: "stop", Usage: usage, Steps: 2, DurationMS: 4000}},
		{Type: event.RunError, Data: event.Failed{Code: event.ErrorModel, Message: "the model refused", FinishReason: "content_filter", Usage: usage, Steps: 2, DurationMS: 4000}},
		{Type: event.RunCancelled, Data: event.Cancelled{By: "user:1", Reason: "enough", AskedAt: at, StoppedMS: 80, Usage: usage, Steps: 2, DurationMS: 4000}},
	}
}

// The envelope and the payloads are the public contract: this file is what clients are written against.
func TestEnvelopesAreAsPublished(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	for i, draft := range samples() {
		data, err := draft.Encode()
		if err != nil {
			t.Fatal(err)
		}
		e := event.Event{
			TenantID: id(1), RunID: id(7), Seq: int64(i + 1), Type: draft.Type, Data: data,
			At: clock.At(time.Date(2026, 11, 22, 15, 4, 5, 678e6, time.UTC).Add(time.Duration(i) * time.Millisecond)),
		}
		if e.Position() != e.Seq {
			t.Errorf("event %d is at the position %d", e.Seq, e.Position())
		}
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(line, []byte(id(1).String())) {
			t.Errorf("%s shows its tenant: %s", e.Type, line)
		}
		got.Write(append(line, '\n'))
	}
	const golden = "testdata/events.golden.jsonl"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the contract changed; if that is meant, run `make generate`.\ngot:\n%s\nwant:\n%s", got.Bytes(), want)
	}
}

func TestEveryTypeHasASample(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Types() {
		if !slices.ContainsFunc(samples(), func(d event.Draft) bool { return d.Type == typ }) {
			t.Errorf("no sample of %s", typ)
		}
	}
}

// A log is read back by other processes: what is written must come back.
func TestEnvelopeComesBack(t *testing.T) {
	t.Parallel()
	for _, draft := range samples() {
		data, err := draft.Encode()
		if err != nil {
			t.Fatal(err)
		}
		want := event.Event{RunID: id(7), Seq: 4, Type: draft.Type, At: clock.At(time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC)), Data: data}
		line, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got event.Event
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		if got.RunID != want.RunID || got.Seq != want.Seq || got.Type != want.Type || got.At != want.At || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}
