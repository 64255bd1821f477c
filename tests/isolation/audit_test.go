package isolation

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/tenants"
)

// TestAuditLog_IsErasedWithItsTenantOnly marches as the platform's role, which may call the functions that erase, through
// every way to use them on a tenant that stays.
func TestAuditLog_IsErasedWithItsTenantOnly(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	conn := d.Conn(t)
	f := newFixture(t, conn, catalogue(t, conn))
	system := caller{"service_role", `{"role":"service_role","lari_writer":true}`}
	callers := map[string]caller{"the writer": f.writer, "a user": f.user, "anon": {"anon", ""}, "the system": system}
	const (
		rows, head = `select lari.erase_audit_rows($1, 10)`, `select * from lari.erase_audit_head($1)`
		mark       = `update tenants set status = 'deleting' where id = $1`
		insert     = `insert into tenant_deletions (id, tenant_id, slug, name, phase, requested_by, requested_at, erase_at, export, status_before, reason_before, status_at_before)
			values (gen_random_uuid(), $1, 'a', 'a', 'waiting', 'x', now(), now() + interval '1 hour', false, 'active', '', now())`
	)
	for name, c := range callers {
		for what, before := range map[string][]string{
			"a tenant that is active": nil, "a status that anybody of the service can write": {mark}, "a deletion in its grace period": {mark, insert},
			"the owner's setting": {mark, `select set_config('lari.erase_tenant', $1::text, true)`},
		} {
			for _, call := range []string{rows, head, `delete from audit_logs where tenant_id = $1`, `delete from audit_heads where tenant_id = $1`} {
				if err := f.march(t, conn, c, append(before, call)...); code(err) != denied {
					t.Errorf("%s, by %s: %s was not refused (%v)", what, name, call, err)
				}
			}
		}
	}
	for what, steps := range map[string][]string{
		"a deletion that is made half-way":   {strings.Replace(insert, "'waiting'", "'erasing'", 1)},
		"a phase that is left out":           {insert, `update tenant_deletions set phase = 'erasing' where tenant_id = $1`},
		"a grace period that is not over":    {insert, `update tenant_deletions set phase = 'stopping' where tenant_id = $1`},
		"a grace period that is shortened":   {insert, `update tenant_deletions set erase_at = now() where tenant_id = $1`},
		"a deletion of another tenant":       {insert, `update tenant_deletions set tenant_id = gen_random_uuid() where tenant_id = $1`},
		"the removal of a record":            {insert, `delete from tenant_deletions where tenant_id = $1`},
		"a tombstone of a tenant that lives": {`insert into audit_tombstones values ($1, gen_random_uuid(), 0, 'x', now())`},
	} {
		if err := f.march(t, conn, system, steps...); code(err) != denied {
			t.Errorf("%s was not refused (%v)", what, err)
		}
	}
}

// TestAuditLog_IsNotRestarted goes the whole way that a deletion goes, as the platform's role, and then wants the tenant back.
func TestAuditLog_IsNotRestarted(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	conn := d.Conn(t)
	f := newFixture(t, conn, catalogue(t, conn))
	system := caller{"service_role", `{"role":"service_role","lari_writer":true}`}
	way := []string{
		`update tenants set status = 'deleting' where id = $1`,
		`insert into tenant_deletions (id, tenant_id, slug, name, phase, requested_by, requested_at, erase_at, export, status_before, reason_before, status_at_before)
			values (gen_random_uuid(), $1, 'a', 'a', 'waiting', 'x', now(), now(), false, 'active', '', now())`,
		`update tenant_deletions set phase = 'stopping' where tenant_id = $1`,
		`update tenant_deletions set phase = 'erasing' where tenant_id = $1`,
		`select lari.erase_audit_rows($1, 10)`,
	}
	entry := `insert into audit_logs (id, tenant_id, at, actor, action, resource_type, resource_id, outcome, dedup_key)
		values (gen_random_uuid(), $1, now(), 'a', 'b', 'c', 'd', 'success', 'anew')`
	for what, more := range map[string][]string{
		"the status is set back":          {`update tenants set status = 'active' where id = $1`},
		"the deletion is cancelled":       {`update tenant_deletions set phase = 'cancelled' where tenant_id = $1`},
		"the deletion begins anew":        {`update tenant_deletions set phase = 'waiting' where tenant_id = $1`},
		"an entry follows the erased":     {entry},
		"the head is set back":            {`update audit_heads set position = 0, hash = decode(repeat('00', 32), 'hex') where tenant_id = $1`},
		"a deletion ends without a trace": {`update tenant_deletions set phase = 'completed' where tenant_id = $1`},
		"a log follows the tombstone":     {`select lari.erase_audit_head($1)`, entry},
		"a head follows the tombstone":    {`select lari.erase_audit_head($1)`, `insert into audit_heads (tenant_id) values ($1)`},
		"the status after the tombstone":  {`select lari.erase_audit_head($1)`, `update tenants set status = 'active' where id = $1`},
		"the tombstone is removed":        {`select lari.erase_audit_head($1)`, `delete from audit_tombstones where tenant_id = $1`},
		"the tombstone is changed":        {`select lari.erase_audit_head($1)`, `update audit_tombstones set position = 0 where tenant_id = $1`},
		"the tombstone is signed twice": {
			`select lari.erase_audit_head($1)`, `update audit_tombstones set key_id = 'a', signature = 's' where tenant_id = $1`,
			`update audit_tombstones set key_id = 'b', signature = 't' where tenant_id = $1`,
		},
		"the tenant is made again": {`select lari.erase_audit_head($1)`, `update tenants set id = gen_random_uuid() where id = $1`},
	} {
		for name, c := range map[string]caller{"the system": system, "the tenant's writer": f.writer} {
			last := len(more) - 1
			if c == f.writer && last > 0 { // what comes before, only the platform's role may
				continue
			}
			if err := f.marchOn(t, conn, system, slices.Concat(way, more[:last]), c, more[last]); code(err) != denied {
				t.Errorf("%s, by %s: not refused (%v)", what, name, err)
			}
		}
	}
	// The end of the tenant is for ever.
	if _, err := newDeletions(d, t.TempDir(), 10).Request(f.acting(t.Context()), tenants.DeletionRequest{}); err != nil {
		t.Fatal(err)
	}
	eraseAll(t, d, f)
	if _, err := f.writer.attempt(t.Context(), conn, `insert into tenants (id, slug, name) values ($1, 'again', 'Again')`, f.tenant); code(err) != denied {
		t.Errorf("the id of a tenant that was erased is used again (%v)", err)
	}
	var position int64
	if err := conn.QueryRow(t.Context(), `select position from audit_tombstones where tenant_id = $1`, f.tenant).Scan(&position); err != nil || position != 1 {
		t.Errorf("the tombstone says %d (%v), want 1", position, err)
	}
}

func eraseAll(t *testing.T, d *pgtest.Database, f *fixture) {
	t.Helper()
	s := newDeletions(d, t.TempDir(), 10)
	found, err := s.Find(f.acting(t.Context()))
	for n := 0; err == nil && n < 50; n++ {
		var step tenants.Step
		if step, err = s.Advance(t.Context(), f.tenant, found.ID); step.Over {
			return
		}
	}
	t.Fatalf("the deletion does not end: %v", err)
}

// march runs statements about the tenant in one transaction as the caller, and gives the error of the last; it undoes them.
func (f *fixture) march(t *testing.T, conn *pgx.Conn, c caller, statements ...string) error {
	t.Helper()
	last := len(statements) - 1
	return f.marchOn(t, conn, caller{"service_role", `{"role":"service_role","lari_writer":true}`}, statements[:last], c, statements[last])
}

func (f *fixture) marchOn(t *testing.T, conn *pgx.Conn, first caller, before []string, c caller, last string) error {
	t.Helper()
	tx, err := first.begin(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	for _, sql := range before {
		if _, err := tx.Exec(t.Context(), sql, f.tenant); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if _, err := tx.Exec(t.Context(), `select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`, c.role, c.claims); err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(t.Context(), last, f.tenant)
	return err
}
