package audit_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/scope"
)

// Several processes, each with a pool and a group commit of its own, write for the same tenants at once,
// many facts twice.
func TestConcurrentWritersNeitherForkNorLeaveHoles(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	const processes, writers, each = 4, 6, 25
	var tenants []context.Context
	for _, slug := range []string{"one", "two", "three"} {
		ctx, _ := db.Tenant(t, slug)
		tenants = append(tenants, ctx)
	}
	services := make([]*audit.Service, processes)
	for i := range services {
		services[i], _ = open(t, db.Open(t, postgres.Config{MaxConns: 4}))
	}
	var writing sync.WaitGroup
	for i := range services {
		for w := range writers {
			writing.Go(func() {
				for n := range each {
					for k := range tenants {
						ctx := tenants[(k+w)%len(tenants)] // in another order each
						// Two processes tell each fact.
						if err := services[i].Append(ctx, entry((i/2*writers+w)*each+n)); err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
	}
	writing.Wait()
	for _, ctx := range tenants {
		sound(ctx, t, services[0], processes/2*writers*each)
	}
	fillBatches(tenants[0], t, db)
}

// fillBatches shows that a group commit of one tenant keeps its order and costs few transactions.
func fillBatches(ctx context.Context, t *testing.T, db *pgtest.Database) {
	t.Helper()
	s, seen := open(t, db.DB)
	before := verify(ctx, t, s).Position
	var tickets []interface{ Wait(context.Context) error }
	for n := range 1000 {
		ticket, err := s.AddCall(ctx, audit.Call{Actor: "ada", Operation: "op", Outcome: audit.Success}, n%2 == 0)
		if err != nil {
			t.Fatal(err)
		}
		tickets = append(tickets, ticket)
	}
	for _, ticket := range tickets {
		if err := ticket.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	sound(ctx, t, s, before+1000)
	if n := seen.batches.Load(); n > 200 || seen.appended.Load() != 1000 {
		t.Errorf("%d entries in %d transactions", seen.appended.Load(), n)
	}
}

func TestAFactToldTwiceIsOneRow(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s, _ := open(t, db.DB)
	ctx, tenant := db.Tenant(t, "acme")
	other, _ := db.Tenant(t, "other")
	fill(ctx, t, s, 1, 3)
	again := entry(2)
	again.Outcome = audit.Failure
	for range 3 {
		if err := s.Append(ctx, again); err != nil {
			t.Fatal(err)
		}
	}
	sound(ctx, t, s, 3)
	if err := s.Append(other, again); err != nil { // another tenant's fact of the same name
		t.Fatal(err)
	}
	sound(other, t, s, 1)
	for _, r := range all(ctx, t, s, audit.Filter{}) {
		if r.TenantID != tenant || r.Outcome != audit.Success {
			t.Errorf("the trail holds %+v", r)
		}
	}
	// Without a key each telling is a fact, and the row's id names it.
	for range 2 {
		if err := s.Append(ctx, audit.Entry{Action: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	sound(ctx, t, s, 5)
	// Twice within one statement, and within one that says where the row should stand.
	behindTheService := `insert into audit_logs (id, tenant_id, at, actor, action, resource_type, resource_id, outcome, dedup_key, position, prev_hash, hash)
		select gen_random_uuid(), $1, now(), '', '', '', '', '', 'x' || n % 2, 40 + n, 'p', 'h' from generate_series(1, 4) n`
	if _, err := db.DB.Exec(ctx, behindTheService, tenant); err != nil {
		t.Fatal(err)
	}
	sound(ctx, t, s, 7)
}

func TestWhatAnEntryMayBe(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s, seen := open(t, db.DB)
	ctx, _ := db.Tenant(t, "acme")
	odd := audit.Entry{
		Actor: "a\x00b\r\nc\xff\u202e", Action: strings.Repeat("é", audit.MaxText), ResourceID: `=1+1,"x"`,
		Data: []byte("{ \"text\": \"\\u0000 \\r\\n\",\n\t\"big\": 12345678901234567890.10, \"twice\": 1, \"twice\": 2 }"),
	}
	if err := s.Append(ctx, odd); err != nil {
		t.Fatal(err)
	}
	sound(ctx, t, s, 1)
	r := all(ctx, t, s, audit.Filter{})[0]
	if r.Actor != "a\uFFFDb\uFFFD\uFFFDc\uFFFD\uFFFD" || len(r.Action) > audit.MaxText || r.ResourceID != odd.ResourceID || r.At.IsZero() ||
		r.Key != r.ID.String() || string(r.Data) != `{"text":"\u0000 \r\n","big":12345678901234567890.10,"twice":1,"twice":2}` {
		t.Errorf("kept: %+v %s", r, r.Data)
	}
	for data, code := range map[string]fault.Code{"[]": fault.Invalid, "{": fault.Invalid, "null": fault.Invalid} {
		if err := s.Append(ctx, audit.Entry{Data: []byte(data)}); !fault.Is(err, code) {
			t.Errorf("the data %s is answered with %v", data, err)
		}
	}
	if err := s.Append(t.Context(), audit.Entry{}); !fault.Is(err, fault.Internal) {
		t.Errorf("no tenant: %v", err)
	}
	nobody := scope.With(t.Context(), scope.Scope{Tenant: uuid.New()})
	if err := s.Append(nobody, audit.Entry{}); !fault.Is(err, fault.NotFound) || seen.lost.Load() != 1 {
		t.Errorf("a tenant that is not there: %v, %d entries lost", err, seen.lost.Load())
	}
}

// The guards hold for everybody: the application's roles have no right, and who has it is refused.
func TestAuditLog_IsAppendOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s, _ := open(t, db.DB)
	ctx, tenant := db.Tenant(t, "acme")
	fill(ctx, t, s, 1, 3)
	conn := db.Conn(t)
	refused := func(who string, err error) {
		t.Helper()
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s: not refused (error %v)", who, err)
		}
	}
	for _, sql := range []string{
		`update audit_logs set outcome = outcome`, `delete from audit_logs`, `truncate audit_logs`, `truncate audit_logs, audit_heads cascade`,
		`update audit_heads set position = position - 1`, `update audit_heads set position = position + 1`, `delete from audit_heads`,
		`truncate audit_heads`, `truncate tenants cascade`,
		`insert into audit_heads (tenant_id, position) select gen_random_uuid(), 5`,
	} {
		_, err := conn.Exec(t.Context(), sql)
		refused("superuser: "+sql, err)
		_, err = db.DB.Exec(ctx, sql)
		refused("tenant: "+sql, err)
		_, err = db.DB.Exec(postgres.AsSystem(ctx), sql)
		refused("system: "+sql, err)
		for _, role := range []string{"authenticated", "service_role", "anon"} { // also when it says the word
			_, err = conn.Exec(t.Context(), `begin; select set_config('request.jwt.claims', '{"lari_writer":true,"app_metadata":{"tenant_id":"`+
				tenant.String()+`"}}', true); set local role `+role+`; set local lari.erase_tenant = '`+tenant.String()+`'; `+sql)
			refused(role+": "+sql, err)
			_, _ = conn.Exec(t.Context(), `rollback`)
		}
	}
	sound(ctx, t, s, 3)
	// What a caller can set or nest opens nothing: not the owner's setting, not a trigger of its own.
	for _, role := range []string{"none", "service_role", "authenticated"} {
		for _, sql := range []string{
			`set local lari.erase_tenant = '` + tenant.String() + `'; set local role ` + role + `; delete from audit_logs where tenant_id = '` + tenant.String() + `'`,
			`create temporary table nest (id int); grant insert on nest to public;
				create function pg_temp.nested() returns trigger language plpgsql as $$ begin
					update public.audit_heads set position = position + 1, hash = decode(repeat('11', 32), 'hex'); return new; end $$;
				create trigger nested before insert on nest for each row execute function pg_temp.nested();
				set local role ` + role + `; insert into nest values (1)`,
		} {
			_, err := conn.Exec(t.Context(), `begin; select set_config('request.jwt.claims', '{"lari_writer":true,"app_metadata":{"tenant_id":"`+tenant.String()+`"}}', true); `+sql)
			refused(role+": "+sql, err)
			_, _ = conn.Exec(t.Context(), `rollback`)
		}
	}
	for _, role := range []string{"authenticated", "service_role", "anon"} {
		_, err := conn.Exec(t.Context(), `begin; set local role `+role+`; create temporary table mine (id int)`)
		refused(role+" makes a temporary table", err)
		_, _ = conn.Exec(t.Context(), `rollback`)
	}
	sound(ctx, t, s, 3)
}
