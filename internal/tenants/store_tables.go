package tenants

import (
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/postgres"
)

// Names of tables and columns in these statements come from tables and the database's catalogue.

// eraseRows removes at most limit rows of the tenant.
func (s store) eraseRows(ctx context.Context, t table, tenant uuid.UUID, limit int) (int64, error) {
	return s.db.Exec(ctx, fmt.Sprintf(`delete from public.%[1]s where ctid = any (array(select ctid from public.%[1]s where %[2]s = $1 limit $2))`,
		t.name, t.tenantColumn()), tenant, limit)
}

// eraseBelow removes at most limit rows that belong to the next parents after the given one, and gives the
// last of those parents, "" when there was none.
func (s store) eraseBelow(ctx context.Context, t table, tenant uuid.UUID, after string, parents, limit int) (n int64, lastParent string, err error) {
	if lastParent, err = s.lastParent(ctx, t, tenant, after, parents); err != nil || lastParent == "" {
		return 0, lastParent, err
	}
	n, err = s.db.Exec(ctx, fmt.Sprintf(`delete from public.%[1]s where ctid = any (array(
			select c.ctid from public.%[2]s p join public.%[1]s c on c.%[3]s = p.id
			where p.tenant_id = $1 and p.id > $2 and p.id <= $3 limit $4))`, t.name, t.parent, t.by),
		tenant, parentAfter(after), lastParent, limit)
	return n, lastParent, err
}

func parentAfter(after string) string {
	if after == "" {
		return uuid.Nil.String()
	}
	return after
}

func (s store) lastParent(ctx context.Context, t table, tenant uuid.UUID, after string, parents int) (string, error) {
	last, _, err := postgres.One(ctx, s.db, fmt.Sprintf(`select id::text from (
			select id from public.%s where tenant_id = $1 and id > $2 order by id limit $3) p order by id desc limit 1`, t.parent),
		[]any{tenant, parentAfter(after), parents}, pgx.RowTo[string])
	return last, err
}

// eraseTrail removes at most limit rows of the tenant's audit trail, which only this function may.
func (s store) eraseTrail(ctx context.Context, tenant uuid.UUID, limit int) (int64, error) {
	n, _, err := postgres.One(ctx, s.db, `select lari.erase_audit_rows($1, $2)`, []any{tenant, limit}, pgx.RowTo[int64])
	return n, err
}

// exportColumns gives the columns of a table as an export shows them: all that it may, and JSON that is kept
// as a text as that text, for an audit trail is hashed so.
func (s store) exportColumns(ctx context.Context, t table) (string, error) {
	columns, _, err := postgres.One(ctx, s.db, `
		select string_agg(case when a.atttypid = 'json'::regtype then format('t.%1$I::text as %1$I', a.attname) else format('t.%I', a.attname) end, ', ' order by a.attnum)
		from pg_attribute a
		where a.attrelid = ('public.' || quote_ident($1))::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attname <> all ($2::text[])`,
		[]any{t.name, append([]string{}, t.omit...)}, pgx.RowTo[string])
	return columns, err
}

// exportPage writes rows after a key as JSON, one a line: limit of them, or those of the next parents. It
// gives how many there were and the key to go on after, "" when there are no more.
func (s store) exportPage(ctx context.Context, w io.Writer, t table, columns string, tenant uuid.UUID, after string, limit int) (rows int64, next string, err error) {
	key, from, args := t.key+"::text", fmt.Sprintf(`public.%s t where t.%s = $1`, t.name, t.tenantColumn()), []any{tenant}
	switch {
	case t.parent != "":
		if next, err = s.lastParent(ctx, t, tenant, after, exportParents); err != nil || next == "" {
			return 0, "", err
		}
		key = "''"
		from = fmt.Sprintf(`public.%s p join public.%s t on t.%s = p.id where p.tenant_id = $1 and p.id > $2 and p.id <= $3 order by t.%[3]s, t.%[4]s`,
			t.parent, t.name, t.by, t.key)
		args = append(args, parentAfter(after), next)
	case after == "":
		from += fmt.Sprintf(` order by %s limit $2`, t.key)
		args = append(args, limit)
	default:
		from += fmt.Sprintf(` and %s > $2::text::%s order by %[1]s limit $3`, t.key, t.typ)
		args = append(args, after, limit)
	}
	lastKey := ""
	err = s.db.Batch(ctx,
		postgres.Statement{SQL: `select set_config('TimeZone', 'UTC', true)`},
		postgres.Statement{SQL: fmt.Sprintf(`select %s, row_to_json((select r from (select %s) r))::text from %s`, key, columns, from), Args: args, Read: func(found pgx.Rows) error {
			for found.Next() {
				var line []byte
				if err := found.Scan(&lastKey, &line); err != nil {
					return err
				}
				if _, err := w.Write(append(line, '\n')); err != nil {
					return exportFault(err)
				}
				rows++
			}
			return found.Err()
		}})
	if t.parent == "" && rows == int64(limit) {
		next = lastKey
	}
	return rows, next, err
}

// exportParents is how many parents one page holds the rows of.
const exportParents = 50
