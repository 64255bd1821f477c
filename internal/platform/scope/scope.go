// Package scope carries through the context on whose behalf something is done: the tenant, the actor
// and the request. Everything below an edge takes the tenant from here and from nowhere else.
package scope

import (
	"context"

	"github.com/google/uuid"
)

// Scope is set once per request (by the adapter) or per activity (from the run's input).
type Scope struct {
	Tenant    uuid.UUID // uuid.Nil: no tenant; tenant-bound statements then fail
	Actor     string    // who acts, for records: a user's or key's id, or "system"
	RequestID string    // the X-Request-Id; below Temporal that of the request behind the run, or the run's id
	Platform  bool      // the caller is the platform itself: it may be told of settings
	Run       uuid.UUID // of the activity; uuid.Nil: what is done is not part of one run
}

type key struct{}

// With returns a context that carries the scope.
func With(ctx context.Context, s Scope) context.Context { return context.WithValue(ctx, key{}, s) }

// From gives the scope; the zero Scope when there is none.
func From(ctx context.Context) Scope {
	s, _ := ctx.Value(key{}).(Scope)
	return s
}

// Tenant gives the tenant of the context, uuid.Nil when there is none.
func Tenant(ctx context.Context) uuid.UUID { return From(ctx).Tenant }
