package webhooks

import (
	"slices"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
)

// Status says whether an endpoint is sent anything.
type Status string

// The states of an endpoint.
const (
	Enabled  Status = "enabled"
	Disabled Status = "disabled"
)

const (
	// MaxEndpoints is how many endpoints a tenant may have.
	MaxEndpoints = 100
	// everything stands for every agent, or for every field.
	everything = "*"
)

// Endpoint is a receiver as its tenant sees it.
type Endpoint struct {
	ID             uuid.UUID         `json:"id"`
	TenantID       uuid.UUID         `json:"tenant_id"`
	URL            string            `json:"url"`
	Description    string            `json:"description"`
	Events         []event.Type      `json:"events" description:"What it is told."`
	AgentID        *uuid.UUID        `json:"agent_id" description:"Only runs of this agent; null: of every agent."`
	Fields         []string          `json:"fields" description:"The fields of an event's own data that are sent; [\"*\"]: all."`
	Headers        map[string]string `json:"headers" description:"Names of the extra headers; values are never shown."`
	Status         Status            `json:"status" enum:"enabled,disabled"`
	DisabledAt     *clock.Time       `json:"disabled_at"`
	DisabledReason string            `json:"disabled_reason" description:"Why it is disabled; empty otherwise."`
	FailingSince   *clock.Time       `json:"failing_since" description:"The first failure since the last success; null: the last attempt succeeded, or there was none."`
	Secrets        []Secret          `json:"secrets" description:"The secrets that sign, the newest first, without their values."`
	CreatedBy      string            `json:"created_by"`
	CreatedAt      clock.Time        `json:"created_at"`
	UpdatedAt      clock.Time        `json:"updated_at"`
}

// Location is where the endpoint is found.
func (e Endpoint) Location() string { return "/v1/webhooks/" + e.ID.String() }

// NewEndpoint is a request to register a receiver.
type NewEndpoint struct {
	ID          uuid.UUID         `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	URL         string            `json:"url" validate:"required,max=2048" example:"https://example.com/hooks/lari" description:"Where events are posted. https, and public, unless the platform is configured otherwise."`
	Description string            `json:"description,omitempty" validate:"max=500"`
	Events      []event.Type      `json:"events" validate:"required,min=1,max=5,unique,dive,oneof=run_started run_progress run_completed run_error run_cancelled"`
	Agent       string            `json:"agent,omitempty" validate:"max=64" default:"*" description:"Id or slug of the agent whose runs are told; * for every agent."`
	Fields      []string          `json:"fields,omitempty" validate:"max=32,unique,dive,min=1,max=64" description:"Top-level fields of the event's own data (data.event) that are sent; absent or [\"*\"]: all; []: none."`
	Headers     map[string]string `json:"headers,omitempty" validate:"max=20" description:"Sent with every request. Values are secrets: they are stored and never shown again."`
}

// Update is a change of an endpoint; what is absent stays.
type Update struct {
	URL         *string           `json:"url,omitempty" validate:"omitempty,min=1,max=2048"`
	Description *string           `json:"description,omitempty" validate:"omitempty,max=500"`
	Events      []event.Type      `json:"events,omitempty" validate:"omitempty,min=1,max=5,unique,dive,oneof=run_started run_progress run_completed run_error run_cancelled"`
	Agent       *string           `json:"agent,omitempty" validate:"omitempty,min=1,max=64" description:"Id or slug of the agent whose runs are told; * for every agent."`
	Fields      []string          `json:"fields,omitempty" validate:"omitempty,max=32,unique,dive,min=1,max=64" description:"Top-level fields of the event's own data that are sent; [\"*\"]: all; []: none."`
	Headers     map[string]string `json:"headers,omitempty" validate:"omitempty,max=20" description:"All extra headers, with their values; {}: none."`
}

// Target is what the sender needs of an endpoint. It holds secrets: it is never shown nor logged.
type Target struct {
	ID       uuid.UUID
	URL      string
	Fields   []string // nil: all
	Headers  map[string]string
	Secrets  []string // "whsec_…", the newest first
	Disabled string   // why nothing may be sent; "" when it may

	// FailingSince is when the first failure since the last success was; nil: it does not fail.
	FailingSince *clock.Time
}

// eventsOf puts a subset of the lifecycle types into the order of the lifecycle.
func eventsOf(asked []event.Type) ([]event.Type, error) {
	var taken []event.Type
	for _, t := range event.Types() {
		if t.Hook() != event.HookNone && slices.Contains(asked, t) {
			taken = append(taken, t)
		}
	}
	if len(taken) == 0 || len(taken) != len(asked) {
		return nil, fault.InvalidField("events", "oneof", "must name one or more of run_started, run_progress, run_completed, run_error, run_cancelled, each once")
	}
	return taken, nil
}

// fieldsOf gives the stored form of an allow-list: nil for all fields.
func fieldsOf(asked []string) ([]string, error) {
	switch {
	case asked == nil, len(asked) == 1 && asked[0] == everything:
		return nil, nil
	case slices.Contains(asked, everything):
		return nil, fault.InvalidField("fields", "fields", "must not name fields beside *")
	}
	for _, f := range asked {
		if !storable.IsText(f) {
			return nil, fault.InvalidField("fields", "fields", "must not hold NUL")
		}
	}
	return asked, nil
}

func shownFields(stored []string) []string {
	if stored == nil {
		return []string{everything}
	}
	return stored
}
