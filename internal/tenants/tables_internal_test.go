package tenants

import (
	"regexp"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// ofNoTenant are the tables with a tenant_id whose rows stay when the tenant goes.
var ofNoTenant = []string{"tenant_deletions", "audit_tombstones", "platform_idempotency_keys"}

func strings1(t *testing.T, conn *pgx.Conn, sql string, args ...any) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A table that the list does not know would keep a deleted tenant's rows, and be missing in its export.
func TestEveryTableOfATenantIsErased(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	there := strings1(t, conn, `
		select relname from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname <> all ($1)
			and (relname = 'tenants' or exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped))
		order by 1`, ofNoTenant)
	at := map[string]int{}
	for i, tb := range tables() {
		if _, twice := at[tb.name]; twice {
			t.Errorf("%s is listed twice", tb.name)
		}
		at[tb.name] = i
		if !slices.Contains(there, tb.name) {
			t.Errorf("%s is listed and does not exist", tb.name)
		}
	}
	for _, name := range there {
		if _, listed := at[name]; !listed {
			t.Errorf("the table %s belongs to tenants: add it to tables in internal/tenants/tables.go, or its rows outlive their tenant", name)
		}
	}
	rows, err := conn.Query(t.Context(), `select c.conrelid::regclass::text, c.confrelid::regclass::text from pg_constraint c
		where c.contype = 'f' and c.connamespace = 'public'::regnamespace and c.conrelid <> c.confrelid`)
	if err != nil {
		t.Fatal(err)
	}
	var child, parent string
	if _, err := pgx.ForEachRow(rows, []any{&child, &parent}, func() error {
		c, listedChild := at[child]
		p, listedParent := at[parent]
		if listedChild && listedParent && c > p {
			t.Errorf("%s refers to %s and must be erased before it", child, parent)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Without an index each batch would read the rows of every tenant.
func TestRowsOfATenantAreFoundByAnIndex(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	leads := func(table, column string) bool {
		return len(strings1(t, conn, `select i.indexrelid::regclass::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
			where i.indrelid = ('public.' || $1)::regclass and a.attname = $2 and i.indpred is null`, table, column)) > 0
	}
	for _, tb := range tables() {
		switch {
		case tb.parent == "" && !leads(tb.name, tb.tenantColumn()):
			t.Errorf("%s has no index that begins with its tenant: name the parent that its rows belong to", tb.name)
		case tb.parent != "" && !leads(tb.name, tb.by):
			t.Errorf("%s has no index that begins with %s", tb.name, tb.by)
		case tb.parent != "" && (!leads(tb.parent, "id") || len(strings1(t, conn, `select i.indexrelid::regclass::text from pg_index i
				where i.indrelid = ('public.' || $1)::regclass and pg_get_indexdef(i.indexrelid) like '%(tenant_id, id)%' and i.indpred is null`, tb.parent)) == 0):
			t.Errorf("%s, the parent of %s, is not indexed by tenant and id", tb.parent, tb.name)
		}
	}
}

// secretive are the names of columns that may hold what proves an identity.
var secretive = regexp.MustCompile(`secret|hash|token|password|header|credential|private`)

// harmless are columns of such a name that an export holds.
var harmless = []string{
	"agent_runs.input_tokens", "agent_runs.output_tokens", "agent_runs.max_tokens", "run_steps.input_tokens", "run_steps.output_tokens",
	"audit_logs.hash", "audit_logs.prev_hash", "audit_heads.hash", // of the chain, which could not be verified without
	"tenant_quotas.tokens_per_month", "quota_usage.tokens", "quota_usage.reserved_tokens",
}

func TestAnExportHoldsNoSecret(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t)
	for _, tb := range exported() {
		for _, column := range strings1(t, conn, `select attname from pg_attribute where attrelid = ('public.' || $1)::regclass and attnum > 0 and not attisdropped`, tb.name) {
			if secretive.MatchString(column) && !slices.Contains(tb.omit, column) && !slices.Contains(harmless, tb.name+"."+column) {
				t.Errorf("%s.%s is exported: leave it out in tables.go, or say in this test that it is harmless", tb.name, column)
			}
		}
	}
}
