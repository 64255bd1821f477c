// Package deliveries is the outbox of remote connectors: what each is to be told is written in the
// transaction that records the event, handed to the engine afterwards, and every attempt is kept.
package deliveries

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
)

// Endpoints is the connector that tells the receivers which tenants registered: each is a target of its own.
const Endpoints = "endpoints"

// Key names a delivery: one event for one connector, and of the connector Endpoints for one endpoint.
type Key struct {
	TenantID   uuid.UUID
	RunID      uuid.UUID
	Seq        int64
	Connector  string
	EndpointID *uuid.UUID
	Round      int // counts from 1; each Redeliver begins another one

	doubtful bool // the endpoint failed the last time: others are handed over before
}

// Status of a delivery. All but Pending are final; only Redeliver leaves them.
type Status string

// The states of a delivery.
const (
	Pending   Status = "pending"   // it is tried, or will be
	Delivered Status = "delivered" // the receiver took it
	Refused   Status = "refused"   // the receiver will never take it
	Failed    Status = "failed"    // it was given up
)

// Delivery is an event that a remote connector is told.
type Delivery struct {
	ID         uuid.UUID   `json:"id"`
	EndpointID *uuid.UUID  `json:"endpoint_id"`
	RunID      uuid.UUID   `json:"run_id"`
	Seq        int64       `json:"seq"`
	Type       event.Type  `json:"type"`
	Connector  string      `json:"connector"`
	Status     Status      `json:"status"`
	Attempts   int         `json:"attempts"`
	Error      string      `json:"error"` // of the last attempt
	CreatedAt  clock.Time  `json:"created_at"`
	FinishedAt *clock.Time `json:"finished_at"`

	tenant uuid.UUID
	round  int
}

// Key names the delivery.
func (d Delivery) Key() Key {
	return Key{TenantID: d.tenant, RunID: d.RunID, Seq: d.Seq, Connector: d.Connector, EndpointID: d.EndpointID, Round: d.round}
}

// Attempt is one try to tell the receiver.
type Attempt struct {
	N          int        `json:"n"`
	At         clock.Time `json:"at"`
	DurationMS int64      `json:"duration_ms"`
	StatusCode *int       `json:"status_code"` // of the receiver's answer; null: there was none
	Error      string     `json:"error"`
	Response   string     `json:"response"` // the beginning of the answer's body
}

// Posting is an event for the outbox. It was just appended to its log, and Behind events of the same append
// stand behind it.
type Posting struct {
	Type       event.Type
	Behind     int
	Connectors []string // that want it, beside the tenant's endpoints
}

func (k Key) String() string {
	s := fmt.Sprintf("%s:%d:%s", k.RunID, k.Seq, k.Connector)
	if k.EndpointID != nil {
		s += ":" + k.EndpointID.String()
	}
	return s
}

// retention is how long deliveries and their attempts are kept.
const retention = 30 * 24 * time.Hour
