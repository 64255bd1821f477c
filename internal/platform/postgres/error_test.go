package postgres_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

func TestViolationsAreNamed(t *testing.T) {
	t.Parallel()
	d := deferred(t)
	ctx, _ := d.Tenant(t, "one")
	do(ctx, t, d.DB, insertNote, 1)
	_, err := d.DB.Exec(ctx, insertNote, 1)
	if unique, foreign := postgres.UniqueViolation(err), postgres.ForeignKeyViolation(err); unique != "notes_pkey" || foreign != "" {
		t.Errorf("a duplicate was named %q and %q", unique, foreign)
	}
	_, err = d.DB.Exec(ctx, `insert into replies (id, note) values (1, 1)`)
	if err != nil || postgres.UniqueViolation(err) != "" {
		t.Errorf("a good row was refused: %v", err)
	}
	_, err = d.DB.Exec(ctx, orphan)
	if unique := postgres.UniqueViolation(err); unique != "replies_pkey" {
		t.Errorf("a duplicate reply was named %q", unique)
	}
}

func TestTextThatCannotBeStored(t *testing.T) {
	t.Parallel()
	d := notes(t)
	ctx, _ := d.Tenant(t, "one")
	for name, text := range map[string]string{"a NUL": "a\x00b", "not UTF-8": "a\xffb"} {
		_, err := d.DB.Exec(ctx, `insert into notes (id, text) values (1, $1)`, text)
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
	}
	_, err := d.DB.Exec(ctx, `select $1::jsonb`, `{"a": "\u0000"}`)
	wantCode(t, err, fault.Invalid)
}

// A platform token may name any tenant; that there is none shows when something is written.
func TestATenantThatDoesNotExist(t *testing.T) {
	t.Parallel()
	d := notes(t)
	ctx := scope.With(t.Context(), scope.Scope{Tenant: uuid.New()})
	_, err := d.DB.Exec(ctx, `insert into workspaces (id, tenant_id, slug, name) values ($1, $2, 'a', 'a')`, uuid.New(), scope.Tenant(ctx))
	wantCode(t, err, fault.NotFound)
	if postgres.ForeignKeyViolation(err) != "workspaces_tenant_id_fkey" {
		t.Errorf("the cause of %v is lost", err)
	}
}
