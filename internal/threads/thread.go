// Package threads keeps conversations: threads and their messages.
package threads

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
)

// Thread is a conversation.
type Thread struct {
	ID           uuid.UUID       `json:"id" required:"true"`
	TenantID     uuid.UUID       `json:"tenant_id" required:"true"`
	Title        string          `json:"title" required:"true"`
	Metadata     json.RawMessage `json:"metadata" required:"true"`
	MessageCount int             `json:"message_count" required:"true"`
	CreatedAt    clock.Time      `json:"created_at" required:"true"`
	UpdatedAt    clock.Time      `json:"updated_at" required:"true"`
}

// Location is where the thread is found.
func (t Thread) Location() string { return "/v1/threads/" + t.ID.String() }

// Role of a message's author.
type Role string

// The authors of messages.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one entry of a thread. Positions begin at 1.
type Message struct {
	Position  int        `json:"position" required:"true"`
	Role      Role       `json:"role" required:"true" enum:"user,assistant"`
	Content   string     `json:"content" required:"true"`
	RunID     *uuid.UUID `json:"run_id" required:"true" description:"The run that it belongs to."`
	CreatedAt clock.Time `json:"created_at" required:"true"`
}

// NewMessage is a message to be added.
type NewMessage struct {
	Role    Role
	Content string
	RunID   *uuid.UUID
}

// NewThread is a request to make a thread.
type NewThread struct {
	ID       uuid.UUID                  `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	Title    string                     `json:"title,omitempty" validate:"max=200"`
	Metadata map[string]json.RawMessage `json:"metadata,omitempty" description:"Anything of yours, up to 16 KiB of JSON."`
}

// Update is a change of a thread; what is absent stays.
type Update struct {
	Title    *string                    `json:"title,omitempty" validate:"omitempty,max=200"`
	Metadata map[string]json.RawMessage `json:"metadata,omitempty" description:"Replaces the whole metadata."`
}

// Copy asks for a new thread that begins as another one.
type Copy struct {
	ID    uuid.UUID `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	Until *int      `json:"until,omitempty" validate:"omitempty,min=0" description:"Position of the last message that is taken over; absent: all of them." example:"4"`
	Title *string   `json:"title,omitempty" validate:"omitempty,max=200" description:"Absent: the other thread's."`
}
