package knowledge_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/knowledge"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// fill gives a tenant documents of 60 words out of 5003; few hold any two given ones.
func fill(t *testing.T, db *pgtest.Database, tenant uuid.UUID, n int) {
	t.Helper()
	conn := db.Conn(t)
	for _, sql := range []string{fmt.Sprintf(`
		insert into documents (id, tenant_id, title, uri, body)
		select gen_random_uuid(), '%s', 'Title ' || i, 'doc/' || i, (select string_agg('word' || ((i::bigint * j * 7919) %% 5003), ' ') from generate_series(1, 60) j)
		from generate_series(1, %d) i`, tenant, n), `analyze documents`} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// searcher runs a statement as the store's search does, with the claims given, and gives its first column.
func searcher(ctx context.Context, t *testing.T, conn *pgx.Conn, claims, query, sql string) ([]string, error) {
	t.Helper()
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	_, err = tx.Exec(ctx, `select set_config('role', 'lari_search', true), set_config('request.jwt.claims', $1, true), set_config('lari.search_query', $2, true)`, claims, query)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func claimsOf(tenant uuid.UUID) string {
	return `{"role":"authenticated","app_metadata":{"tenant_id":"` + tenant.String() + `"}}`
}

// The policy's @@ is an index condition, beside the policy's tenant: 10,000 documents take no longer than
// a few hundred.
func TestASearchUsesTheIndexUnderRowSecurity(t *testing.T) {
	t.Parallel()
	ctx, service, db := newService(t)
	var tenant uuid.UUID
	if err := db.Conn(t).QueryRow(ctx, `select id from tenants`).Scan(&tenant); err != nil {
		t.Fatal(err)
	}
	fill(t, db, tenant, 10_000)
	conn := db.Conn(t)
	plan, err := searcher(ctx, t, conn, claimsOf(tenant), `'word2916' & 'word829'`, `explain select id::text from documents`)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	if !strings.Contains(text, "Bitmap Index Scan on documents_search") || !strings.Contains(text, "Index Cond: (search @@ ") || !strings.Contains(text, "tenant_id = ") {
		t.Errorf("the plan of a search:\n%s", text)
	}
	var took []time.Duration
	for range 5 {
		began := time.Now()
		hits, err := service.Search(ctx, "word2916 word829", 5)
		if err != nil || len(hits) == 0 {
			t.Fatalf("found %d, %v", len(hits), err)
		}
		took = append(took, time.Since(began))
	}
	t.Logf("five searches of 10,000 documents took %v", took)
}

// What the searcher's role sees is what the claim and the query together allow, and it may do nothing else.
func TestTheSearcherSeesOneTenantsMatches(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	_, mine := db.Tenant(t, "acme")
	_, other := db.Tenant(t, "umbrella")
	fill(t, db, mine, 50)
	fill(t, db, other, 50)
	conn := db.Conn(t)
	const count = `select count(*)::text from documents`
	for name, c := range map[string]struct{ claims, query, want string }{
		"my matches":              {claimsOf(mine), `'titl'`, "50"},
		"one of mine":             {claimsOf(mine), `'titl' & '7'`, "1"},
		"no match":                {claimsOf(mine), `'nothing'`, "0"},
		"no query":                {claimsOf(mine), ``, "0"},
		"no claims":               {``, `'titl'`, "0"},
		"no tenant in the claims": {`{"role":"authenticated"}`, `'titl'`, "0"},
		"an empty tenant":         {`{"app_metadata":{"tenant_id":""}}`, `'titl'`, "0"},
		"nobody's tenant":         {claimsOf(uuid.New()), `'titl'`, "0"},
	} {
		got, err := searcher(t.Context(), t, conn, c.claims, c.query, count)
		if err != nil || got[0] != c.want {
			t.Errorf("%s: sees %v (%v), want %s", name, got, err, c.want)
		}
	}
	// Neither a wider condition nor a function that fails shows a row of another tenant.
	for _, sql := range []string{
		`select count(*)::text from documents where tenant_id = '` + other.String() + `' or true`,
		`select count(*)::text from documents where 1 / (case when tenant_id = '` + other.String() + `' then 0 else 1 end) = 1`,
	} {
		if got, err := searcher(t.Context(), t, conn, claimsOf(mine), `'titl'`, sql); err != nil || got[0] != "50" {
			t.Errorf("%s: %v, %v", sql, got, err)
		}
	}
	for _, sql := range []string{
		`select id::text from tenants`, `select id::text from agent_runs`, `select id::text from api_keys`,
		`insert into documents (id, tenant_id, title, uri, body) values (gen_random_uuid(), '` + mine.String() + `', 't', 'u', 'b') returning id::text`,
		`update documents set title = 'x' returning id::text`, `delete from documents returning id::text`,
	} {
		if got, err := searcher(t.Context(), t, conn, claimsOf(mine), `'titl'`, sql); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v, %v", sql, got, err)
		}
	}
}

// A search inside a transaction leaves the rest of it to its caller's role.
func TestASearchGivesTheTransactionBack(t *testing.T) {
	t.Parallel()
	ctx, service, db := newService(t)
	err := db.DB.Tx(ctx, func(ctx context.Context) error {
		if _, err := service.Search(ctx, "anything", 5); err != nil {
			return err
		}
		role, _, err := postgres.One(ctx, db.DB, `select current_user::text`, nil, pgx.RowTo[string])
		if err == nil && role != "authenticated" {
			t.Errorf("the transaction goes on as %s", role)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Where the searcher's role is not to be had, searches find the same, without the index.
func TestASearchDoesWithoutTheRole(t *testing.T) {
	t.Parallel()
	ctx, service, db := newService(t)
	if err := service.Add(ctx, knowledge.Document{Title: "Refunds", URI: "doc/refunds", Body: "Refunds take five days."}, knowledge.Document{Title: "Other", URI: "doc/other", Body: "Nothing."}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Conn(t).Exec(ctx, `revoke select on documents from lari_search`); err != nil {
		t.Fatal(err)
	}
	hits, err := service.Search(ctx, "refunds", 5)
	if err != nil || len(hits) != 1 || hits[0].URI != "doc/refunds" {
		t.Errorf("found %v, %v", hits, err)
	}
}
