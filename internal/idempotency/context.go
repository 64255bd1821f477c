package idempotency

import (
	"context"

	"github.com/google/uuid"
)

type resourceKey struct{}

// WithResourceID returns a context that carries the id of the thing to be made.
func WithResourceID(ctx context.Context, id uuid.UUID) context.Context {
	return context.WithValue(ctx, resourceKey{}, id)
}

// ResourceID gives the id that the thing to be made must have, false when the request has no key. A row
// with that id may exist already: an earlier try with the key made it.
func ResourceID(ctx context.Context) (uuid.UUID, bool) {
	id, ok := ctx.Value(resourceKey{}).(uuid.UUID)
	return id, ok
}
