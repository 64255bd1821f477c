// Package setup takes a Postgres that holds nothing to a serving Lari, by the recipe of the docs and nothing else.
package setup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/devstack"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/tests/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.WithoutLeaks(m)) }

const (
	recipe = "../../deploy/postgres/setup.sql"
	// bareVariable names superusers of further clusters that hold nothing, of other versions, apart by spaces.
	bareVariable = "LARI_TEST_BARE_DATABASE_URLS"
)

// clusters returns superusers of clusters that have never seen Lari.
func clusters(t *testing.T) []string {
	t.Helper()
	stack, err := devstack.Start(t.Context(), devstack.Config{Ephemeral: true, TemporalAddress: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stack.Close() })
	own := at(t, stack.DatabaseURL, "postgres")
	run(t, own, `drop database lari`) // the stack's convenience
	return append([]string{own}, strings.Fields(os.Getenv(bareVariable))...)
}

// at returns the address of another database, and of another login if one is given.
func at(t *testing.T, address, database string, login ...string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	if len(login) == 2 {
		u.User = url.UserPassword(login[0], login[1])
	}
	return u.String()
}

func run(t *testing.T, address string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s\n%v", sql, err)
		}
	}
}

// prepare runs the recipe as psql would: its statements are apart by empty lines.
func prepare(t *testing.T, admin string) {
	t.Helper()
	text, err := os.ReadFile(recipe)
	if err != nil {
		t.Fatal(err)
	}
	before, after, ok := strings.Cut(string(text), "\\connect lari\n")
	if !ok {
		t.Fatal("the recipe does not connect to the database that it makes")
	}
	run(t, admin, strings.Split(before, "\n\n")...)
	run(t, at(t, admin, "lari"), strings.Split(after, "\n\n")...)
}

const (
	ownerPassword   = "change this password"
	servicePassword = "change this one too"
)

// Roles belong to a cluster, so these tests run one after the other.

// TestSetup_ServesFromABareCluster follows the recipe on every cluster that there is.
func TestSetup_ServesFromABareCluster(t *testing.T) {
	for _, super := range clusters(t) {
		servesByTheRecipe(t, super, super)
		run(t, super, `create role administrator login createrole createdb password 'secret'`)
		servesByTheRecipe(t, super, at(t, super, "postgres", "administrator", "secret")) // such as managed services give out
		run(t, super, `drop role administrator`)
	}
}

// TestMigrate_NamesTheStatementsThatAreMissing gives a login nothing, and then what Migrate says, statement by statement.
func TestMigrate_NamesTheStatementsThatAreMissing(t *testing.T) {
	for _, super := range clusters(t) {
		namesWhatIsMissing(t, super)
	}
}

// TestSupabaseAuth_IsInstalledBeforeOrAfter installs Supabase Auth beside Lari in both orders.
func TestSupabaseAuth_IsInstalledBeforeOrAfter(t *testing.T) {
	for _, super := range clusters(t) {
		for _, before := range []bool{true, false} {
			servesBesideAuth(t, super, before)
		}
	}
}

// servesByTheRecipe migrates as the one login of the recipe, serves as the other, and completes a run.
func servesByTheRecipe(t *testing.T, super, admin string) {
	t.Helper()
	prepare(t, admin)
	owner, service := at(t, super, "lari", "lari_owner", ownerPassword), at(t, super, "lari", "lari", servicePassword)
	all := pgtest.Migrations(t)
	if applied, err := postgres.Migrate(t.Context(), owner, all); err != nil || len(applied) != len(all) {
		t.Fatalf("applied %d of %d: %v", len(applied), len(all), err)
	}
	var wrong *postgres.MissingRightsError
	if _, err := postgres.Migrate(t.Context(), service, append(all, postgres.Migration{Version: "99990101000000"})); !errors.As(err, &wrong) || wrong.Owner != "lari_owner" {
		t.Errorf("whoever serves migrates: %v", err)
	}
	completesARun(t, service)
	guardsItself(t, service)
	run(t, super, `drop database lari with (force)`, `drop role lari, lari_owner`, dropRoles)
}

const dropRoles = `drop role anon, authenticated, service_role, lari_search, lari_service`

func completesARun(t *testing.T, service string) {
	t.Helper()
	s := harness.NewSystem(t)
	s.Config.DatabaseURL, s.Config.DatabaseDirectURL = config.NewURL(service), config.NewURL(service)
	p := s.Start(t, harness.All)
	tenant := p.NewTenant(t, agents.Config{})
	answer := tenant.Do(t, "POST", "/v1/runs/wait", map[string]any{"input": "Hello"})
	if answer.Status != http.StatusOK || !strings.Contains(string(answer.Body), `"completed"`) {
		t.Errorf("the run is %d %s", answer.Status, answer.Body)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

// guardsItself shows that the login that serves sees nothing by itself, makes nothing and removes no guard.
func guardsItself(t *testing.T, service string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, role := range []string{"none", "authenticated", "service_role", "lari_service"} {
		for _, sql := range []string{
			`alter table audit_logs disable trigger all`, `drop table audit_logs`, `create table public.mine (id int)`, `create temporary table mine (id int)`,
			`create schema mine`, `set session_replication_role = replica`, `create function lari.mine() returns int language sql return 1`,
		} {
			if _, err := conn.Exec(t.Context(), `begin; set local role `+role+`; `+sql); err == nil {
				t.Errorf("%s: %s was not refused", role, sql)
			}
			if _, err := conn.Exec(t.Context(), `rollback`); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := conn.Exec(t.Context(), `select from tenants`); err == nil {
		t.Error("the login reads tenants without a role")
	}
}

func namesWhatIsMissing(t *testing.T, super string) {
	t.Helper()
	run(t, super, `create role plain login noinherit password 'secret'`, `create database bare`)
	address := at(t, super, "bare", "plain", "secret")
	_, err := postgres.Migrate(t.Context(), address, pgtest.Migrations(t))
	var missing *postgres.MissingRightsError
	if !errors.As(err, &missing) || missing.Role != "plain" || missing.Database != "bare" {
		t.Fatalf("without any right: %v", err)
	}
	for _, want := range []string{
		"create role authenticated ", "grant authenticated", "grant create on database bare to plain;", "grant usage, create on schema public to plain;",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %s", want, err)
		}
	}
	for i, statement := range missing.Statements { // each is needed
		var next *postgres.MissingRightsError
		if _, err := postgres.Migrate(t.Context(), address, pgtest.Migrations(t)); !errors.As(err, &next) || len(next.Statements) != len(missing.Statements)-i {
			t.Fatalf("after %d of %q: %v", i, missing.Statements, err)
		}
		run(t, at(t, super, "bare"), statement)
	}
	if _, err := postgres.Migrate(t.Context(), address, pgtest.Migrations(t)); err != nil {
		t.Fatalf("with all that was named: %v", err)
	}
	run(t, super, `drop database bare with (force)`, `drop role plain`, dropRoles)
}

// TestSetup_IsInTheDocs keeps the page that operators read and the file that is tested the same.
func TestSetup_IsInTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(recipe)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), fmt.Sprintf("```sql\n%s```\n", text)) {
		t.Errorf("docs/operations.md does not show %s word for word", recipe)
	}
}
