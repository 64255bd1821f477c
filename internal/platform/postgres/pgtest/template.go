package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/deploy/supabase"
	"github.com/larirun/lari/internal/platform/postgres"
)

// templateLock lets one test binary at a time make the template. Unlike the migrator's it is a session's
// lock: create database runs in no transaction.
const templateLock = 0x70677465 // "pgte"

// Migrations gives the repository's own, in order.
func Migrations(t testing.TB) []postgres.Migration {
	t.Helper()
	all, err := postgres.ReadMigrations(supabase.Migrations)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// templated gives the name of the template database, which it makes when there is none yet. It is
// migrated under another name first: the name alone says that it is whole.
func templated(t testing.TB) string {
	t.Helper()
	migrations := Migrations(t)
	name := templateName(migrations)
	admin(t, func(ctx context.Context, conn *pgx.Conn) error {
		if found, err := exists(ctx, conn, name); found || err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", templateLock); err != nil {
			return err
		}
		if found, err := exists(ctx, conn, name); found || err != nil {
			return err
		}
		unfinished := name + "_unfinished"
		for _, sql := range []string{
			"drop database if exists " + quote(unfinished) + " with (force)",
			"create database " + quote(unfinished) + " template template0",
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		if _, err := postgres.Migrate(ctx, address(t, unfinished), migrations); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, fmt.Sprintf("alter database %s rename to %s", quote(unfinished), quote(name)))
		return err
	})
	return name
}

func templateName(migrations []postgres.Migration) string {
	h := sha256.New()
	for _, m := range migrations {
		_, _ = fmt.Fprintf(h, "%s %s %d\n%s", m.Version, m.Name, len(m.SQL), m.SQL)
	}
	return "lari_template_" + hex.EncodeToString(h.Sum(nil))[:16]
}

func exists(ctx context.Context, conn *pgx.Conn, database string) (found bool, err error) {
	err = conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", database).Scan(&found)
	return found, err
}
