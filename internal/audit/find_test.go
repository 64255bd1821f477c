package audit_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// made is the n-th of 10⁴ rows as the statement below makes them.
func made(n int, began time.Time) audit.Record {
	return audit.Record{
		Position: int64(n), At: clock.At(began.Add(time.Duration(n) * time.Second)), Actor: fmt.Sprintf("user-%d", n%7), Action: fmt.Sprintf("act-%d", n%5),
		ResourceType: fmt.Sprintf("type-%d", n%3), ResourceID: fmt.Sprintf("id-%d", n%1000), Outcome: fmt.Sprintf("out-%d", n%2), RequestID: fmt.Sprintf("req-%d", n/10),
	}
}

func TestFiltersAndCursorsOverTenThousandRows(t *testing.T) {
	t.Parallel()
	const rows = 10_000
	db := pgtest.New(t)
	s, _ := open(t, db.DB)
	ctx, tenant := db.Tenant(t, "acme")
	other, _ := db.Tenant(t, "other")
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for from := 1; from <= rows; from += 500 {
		_, err := db.DB.Exec(ctx, `insert into audit_logs (id, tenant_id, at, actor, action, resource_type, resource_id, outcome, request_id, dedup_key)
			select gen_random_uuid(), $1, $3::timestamptz + n * interval '1 s', 'user-' || n % 7, 'act-' || n % 5, 'type-' || n % 3, 'id-' || n % 1000, 'out-' || n % 2,
				'req-' || n / 10, 'k' || n from generate_series($2::int, $2::int + 499) n`, tenant, from, began)
		if err != nil {
			t.Fatal(err)
		}
	}
	from, to := began.Add(100*time.Second), began.Add(400*time.Second)
	for name, f := range map[string]audit.Filter{
		"all": {}, "actor": {Actor: "user-3"}, "action": {Action: "act-1"}, "type": {ResourceType: "type-2"}, "resource": {ResourceID: "id-77"},
		"outcome": {Outcome: "out-1"}, "request": {RequestID: "req-12"}, "from": {From: &to}, "to": {To: &from}, "between": {From: &from, To: &to},
		"several": {Actor: "user-3", Action: "act-1", ResourceType: "type-2", Outcome: "out-1", From: &from}, "none": {Actor: "nobody"},
	} {
		var want []int64
		for n := 1; n <= rows; n++ {
			if matches(f, made(n, began)) {
				want = append(want, int64(n))
			}
		}
		if len(want) == 0 != (name == "none") {
			t.Fatalf("%s: the test expects %d rows", name, len(want))
		}
		if got := positions(all(ctx, t, s, f)); !slices.Equal(got, want) {
			t.Errorf("%s: exported %d rows, want %d", name, len(got), len(want))
		}
		if len(all(other, t, s, f)) > 0 || len(list(other, t, s, f, 200)) > 0 {
			t.Errorf("%s: another tenant finds rows", name)
		}
		slices.Reverse(want)
		if got := positions(list(ctx, t, s, f, 199)); !slices.Equal(got, want) {
			t.Errorf("%s: listed %d rows, want %d", name, len(got), len(want))
		}
	}
	sound(ctx, t, s, rows)
}

func matches(f audit.Filter, r audit.Record) bool {
	same := func(want, got string) bool { return want == "" || want == got }
	return same(f.Actor, r.Actor) && same(f.Action, r.Action) && same(f.ResourceType, r.ResourceType) && same(f.ResourceID, r.ResourceID) &&
		same(f.Outcome, r.Outcome) && same(f.RequestID, r.RequestID) &&
		(f.From == nil || !r.At.Before(*f.From)) && (f.To == nil || r.At.Before(*f.To))
}

func positions(records []audit.Record) (found []int64) {
	for _, r := range records {
		found = append(found, r.Position)
	}
	return found
}

func TestCursorsThatWereNeverGivenOut(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	s, _ := open(t, db.DB)
	ctx, _ := db.Tenant(t, "acme")
	for _, key := range []string{"0", "-1", "01", "+1", "x", uuid.NewString(), "9223372036854775808"} {
		if _, err := s.FindAll(ctx, audit.Filter{}, page.Request{Cursor: page.Encode(key)}); !fault.Is(err, fault.Malformed) {
			t.Errorf("the cursor of %q is answered with %v", key, err)
		}
	}
}

// Rows from before the chain are chained by the migration, in the order of their times.
func TestTheMigrationChainsWhatWasThere(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	migrations := pgtest.Migrations(t)
	chain := slices.IndexFunc(migrations, func(m postgres.Migration) bool { return m.Name == "audit_chain" })
	if _, err := postgres.Migrate(t.Context(), db.URL, migrations[:chain]); err != nil {
		t.Fatal(err)
	}
	a, tenant := db.Tenant(t, "a")
	b, _ := db.Tenant(t, "b")
	conn := db.Conn(t)
	if _, err := conn.Exec(t.Context(), `insert into audit_logs (id, tenant_id, at, actor, action, resource_type, resource_id, outcome, data, dedup_key)
		select gen_random_uuid(), $1, now() - n * interval '1.0001 s', 'ada', 'run.start', 'run', n::text, 'success', '{"b": 1.50, "a": "é"}', 'k' || n
		from generate_series(1, 700) n`, tenant); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Migrate(t.Context(), db.URL, migrations); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, db.DB)
	sound(a, t, s, 700)
	sound(b, t, s, 0)
	for i, r := range all(a, t, s, audit.Filter{}) {
		if r.ResourceID != fmt.Sprint(700-i) || !bytes.Contains(r.Data, []byte(`1.50`)) {
			t.Fatalf("row %d is %+v", i+1, r)
		}
	}
	// The version before goes on writing while this one starts.
	old := `insert into audit_logs (id, tenant_id, at, actor, action, resource_type, resource_id, outcome, request_id, data, dedup_key)
		values ($1, $2, now(), '', '', '', '', '', '', $3, $4) on conflict (tenant_id, dedup_key) do nothing`
	for _, key := range []string{"k1", "new", "new"} {
		if _, err := db.DB.Exec(a, old, uuid.New(), tenant, []byte(`{"x": 1}`), key); err != nil {
			t.Fatal(err)
		}
	}
	fill(a, t, s, 1, 3)
	sound(a, t, s, 704)
}
