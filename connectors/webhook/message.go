package webhook

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// Message is the body of a webhook.
type Message struct {
	Type      event.Type `json:"type"`
	Timestamp clock.Time `json:"timestamp"`
	Data      Data       `json:"data"`
}

// Data is the event, with whom it concerns.
type Data struct {
	TenantID uuid.UUID       `json:"tenant_id"`
	AgentID  uuid.UUID       `json:"agent_id"`
	RunID    uuid.UUID       `json:"run_id"`
	ThreadID *uuid.UUID      `json:"thread_id,omitempty"`
	Seq      int64           `json:"seq"`
	Metadata json.RawMessage `json:"metadata"`
	Event    json.RawMessage `json:"event"`
}

// TestType is the type of the message that a test sends; no event has it.
const TestType = "webhook_test"

// TestMessage is the body that a test sends.
type TestMessage struct {
	Type      string     `json:"type"`
	Timestamp clock.Time `json:"timestamp"`
	Data      TestData   `json:"data"`
}

// TestData says whose test it is.
type TestData struct {
	TenantID  uuid.UUID `json:"tenant_id"`
	WebhookID uuid.UUID `json:"webhook_id"`
}

// encode gives the body for an event; fields, unless nil, are those of its own data that are sent.
func encode(e connectors.Event, fields []string) ([]byte, error) {
	data, err := selected(e.Data, fields)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(Message{Type: e.Type, Timestamp: e.At, Data: Data{
		TenantID: e.TenantID, AgentID: e.AgentID, RunID: e.RunID, ThreadID: e.ThreadID, Seq: e.Seq, Metadata: e.Metadata, Event: data,
	}})
	if err != nil {
		return nil, fmt.Errorf("encode the webhook: %w", err)
	}
	return body, nil
}

// selected keeps the allowed fields of an object; their values stay as they were written.
func selected(data json.RawMessage, fields []string) (json.RawMessage, error) {
	if fields == nil {
		return data, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("read the event's data: %w", err)
	}
	kept := make(map[string]json.RawMessage, len(fields))
	for _, name := range fields {
		if value, ok := all[name]; ok {
			kept[name] = value
		}
	}
	return json.Marshal(kept)
}
