package knowledge_test

import (
	"context"
	"testing"

	"github.com/larirun/lari/internal/knowledge"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// newService gives a service over an empty database of the test's own, and a context with a tenant.
func newService(t *testing.T) (context.Context, *knowledge.Service, *pgtest.Database) {
	t.Helper()
	db := pgtest.New(t)
	ctx, _ := db.Tenant(t, "acme")
	return ctx, knowledge.NewService(db.DB), db
}

var _ knowledge.DB = (*postgres.DB)(nil)
