package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Migration is one file of the migrations folder, named <14 digits>_<what>.sql.
type Migration struct {
	Version string
	Name    string
	SQL     string
}

var migrationName = regexp.MustCompile(`^(\d{14})_([a-z0-9_]+)\.sql$`)

// ReadMigrations gives the files of migrations/ in order; a file named otherwise is an error.
func ReadMigrations(files fs.FS) ([]Migration, error) {
	entries, err := fs.ReadDir(files, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	var all []Migration
	for _, entry := range entries {
		m := migrationName.FindStringSubmatch(entry.Name())
		if m == nil {
			return nil, fmt.Errorf("migration %q is not named <14 digits>_<what>.sql", entry.Name())
		}
		sql, err := fs.ReadFile(files, path.Join("migrations", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", entry.Name(), err)
		}
		all = append(all, Migration{Version: m[1], Name: m[2], SQL: string(sql)})
	}
	slices.SortFunc(all, func(a, b Migration) int { return strings.Compare(a.Version, b.Version) })
	for i := 1; i < len(all); i++ {
		if all[i].Version == all[i-1].Version {
			return nil, fmt.Errorf("migrations %s and %s have the version %s both", all[i-1].Name, all[i].Name, all[i].Version)
		}
	}
	return all, nil
}

// migrationLock is the key of the advisory lock that lets one migrator in at a time. It is held by a
// transaction: a session's lock would stay behind on a pooled connection.
const migrationLock = 0x6c617269 // "lari"

// history is Supabase's own table, so that its CLI and this applier agree on what was applied.
const history = `
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;`

// Migrate applies what is missing, each migration with its history row in one transaction, and gives
// the versions that it applied. Several processes may call it at once. A *MissingRightsError names what the login must
// be granted first.
func Migrate(ctx context.Context, url string, all []Migration) (applied []string, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, translate(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	missing, err := unapplied(ctx, conn, all)
	if err != nil {
		return nil, translate(err)
	}
	if err := checkRights(ctx, conn, missing); err != nil {
		return nil, translate(err)
	}
	for len(missing) > len(applied) {
		next, err := migrateNext(ctx, conn, all)
		if err != nil {
			return applied, err
		}
		if next == "" { // another process was faster
			break
		}
		applied = append(applied, next)
	}
	return applied, allowTokenHook(ctx, conn)
}

// allowTokenHook lets Supabase Auth call the token hook where its role came after the migration that does the same.
func allowTokenHook(ctx context.Context, conn *pgx.Conn) error {
	var late bool
	err := conn.QueryRow(ctx, `select exists (
		select from pg_roles r, pg_proc p join pg_namespace n on n.oid = p.pronamespace
		where r.rolname = 'supabase_auth_admin' and n.nspname = 'lari' and p.proname = 'custom_access_token_hook'
			and not has_function_privilege(r.oid, p.oid, 'EXECUTE') and pg_has_role(current_user, p.proowner, 'USAGE'))`).Scan(&late)
	if err == nil && late {
		_, err = conn.Exec(ctx, `select lari.allow_token_hook()`)
	}
	if err != nil {
		return fmt.Errorf("let Supabase Auth call the token hook: %w", err)
	}
	return nil
}

func migrateNext(ctx context.Context, conn *pgx.Conn, all []Migration) (version string, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return "", translate(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, migrationLock); err != nil {
		return "", translate(err)
	}
	if _, err := tx.Exec(ctx, history); err != nil {
		return "", fmt.Errorf("prepare the migration history: %w", err)
	}
	missing, err := missingOf(ctx, tx, all)
	if err != nil || len(missing) == 0 {
		return "", err
	}
	m := missing[0]
	if _, err := tx.Exec(ctx, m.SQL); err != nil {
		return "", fmt.Errorf("migration %s_%s: %w", m.Version, m.Name, err)
	}
	if _, err := tx.Exec(ctx,
		`insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, array[$3])`,
		m.Version, m.Name, m.SQL); err != nil {
		return "", fmt.Errorf("record migration %s: %w", m.Version, err)
	}
	if err := tx.Commit(ctx); err != nil {
		return "", fmt.Errorf("commit migration %s: %w", m.Version, err)
	}
	return m.Version, nil
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func missingOf(ctx context.Context, q querier, all []Migration) ([]Migration, error) {
	rows, err := q.Query(ctx, `select version from supabase_migrations.schema_migrations`)
	if err != nil {
		return nil, err
	}
	done, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var missing []Migration
	for _, m := range all {
		if !slices.Contains(done, m.Version) {
			missing = append(missing, m)
		}
	}
	return missing, nil
}

// unapplied is missingOf where there may be no history yet, or none that the login may read.
func unapplied(ctx context.Context, q querier, all []Migration) ([]Migration, error) {
	missing, err := missingOf(ctx, q, all)
	switch code(err) {
	case codeNoTable, codeNoSchema, codeNoRight:
		return all, nil
	}
	return missing, err
}

// Pending gives the versions that have not been applied. It reads only, so it serves a readiness probe.
func (db *DB) Pending(ctx context.Context, all []Migration) ([]string, error) {
	// Which migrations there were is no tenant's business: it is read by the login itself, or, where another one
	// migrates, by the role that the service's logins have in common.
	missing, err := db.missingAs(ctx, "none", all)
	if code(err) == codeNoRight {
		missing, err = db.missingAs(ctx, roleOfService, all)
	}
	switch code(err) {
	case codeNoTable, codeNoSchema:
		missing, err = all, nil
	}
	if err != nil {
		return nil, translate(err)
	}
	versions := make([]string, 0, len(missing))
	for _, m := range missing {
		versions = append(versions, m.Version)
	}
	return versions, nil
}

func (db *DB) missingAs(ctx context.Context, role string, all []Migration) (missing []Migration, err error) {
	err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		if _, err = tx.Exec(ctx, "set local role "+role); err == nil {
			missing, err = missingOf(ctx, tx, all)
		}
		return err
	})
	return missing, err
}

// roleOfService is the role of which every login of the service is a member (20261129000601).
const roleOfService = "lari_service"
