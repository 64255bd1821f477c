package tenants

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

// KeyChannel is where the database announces that keys hold no more: the prefix of one, or nothing when
// those of a whole tenant changed.
const KeyChannel = "lari_api_keys"

const keyColumns = `id, tenant_id, name, prefix, role, scopes, created_by, created_at, expires_at, revoked_at, last_used_at`

func scanKey(row pgx.CollectableRow) (k Key, err error) {
	err = row.Scan(&k.ID, &k.TenantID, &k.Name, &k.Prefix, &k.Role, &k.Scopes, &k.CreatedBy, &k.CreatedAt, &k.ExpiresAt, &k.RevokedAt, &k.LastUsedAt)
	return k, err
}

func errNoKey(id uuid.UUID) error { return fault.New(fault.NotFound, "There is no key %s.", id) }

// insertKey adds a key, unless one of that id exists.
func (s store) insertKey(ctx context.Context, k Key, hash []byte) (created bool, err error) {
	n, err := s.db.Exec(ctx, `insert into api_keys (id, tenant_id, name, prefix, hash, role, scopes, created_by, created_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (id) do nothing`,
		k.ID, k.TenantID, k.Name, k.Prefix, hash, k.Role, k.Scopes, k.CreatedBy, k.CreatedAt, k.ExpiresAt)
	return n == 1, err
}

func (s store) findKey(ctx context.Context, id uuid.UUID) (Key, error) { return s.oneKey(ctx, id, "") }

// lockKey holds a key until the transaction ends.
func (s store) lockKey(ctx context.Context, id uuid.UUID) (Key, error) {
	return s.oneKey(ctx, id, " for no key update")
}

// lockKeyNamed returns the newest usable key of a name, nil when there is none, and keeps other callers waiting
// until the transaction ends.
func (s store) lockKeyNamed(ctx context.Context, name string, at clock.Time) (*Key, error) {
	if _, err := s.db.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('lari.api_keys ' || lari.tenant_id()::text, 0))`); err != nil {
		return nil, err
	}
	k, ok, err := postgres.One(ctx, s.db, `select `+keyColumns+` from api_keys
		where tenant_id = (select lari.tenant_id()) and name = $1 and revoked_at is null and (expires_at is null or expires_at > $2)
		order by id desc limit 1`, []any{name, at}, scanKey)
	if err != nil || !ok {
		return nil, err
	}
	return &k, nil
}

func (s store) oneKey(ctx context.Context, id uuid.UUID, lock string) (Key, error) {
	k, ok, err := postgres.One(ctx, s.db, `select `+keyColumns+` from api_keys where id = $1`+lock, []any{id}, scanKey)
	if err == nil && !ok {
		err = errNoKey(id)
	}
	return k, err
}

func (s store) listKeys(ctx context.Context, revoked bool, before uuid.UUID, limit int) ([]Key, error) {
	return postgres.All(ctx, s.db, `select `+keyColumns+` from api_keys
		where tenant_id = (select lari.tenant_id()) and id < $1 and ($2 or revoked_at is null) order by id desc limit $3`,
		[]any{before, revoked, limit}, scanKey)
}

// updateKey writes the name and the end of a key. Processes that know it hear of it, for its end may have
// come nearer.
func (s store) updateKey(ctx context.Context, k Key) error {
	return s.db.Finally(ctx,
		postgres.Statement{SQL: `update api_keys set name = $2, expires_at = $3 where id = $1`, Args: []any{k.ID, k.Name, k.ExpiresAt}},
		postgres.Statement{SQL: `select pg_notify('` + KeyChannel + `', $1)`, Args: []any{k.Prefix}})
}

func (s store) revokeKey(ctx context.Context, id uuid.UUID, at clock.Time) error {
	var found bool
	err := s.db.Batch(ctx,
		postgres.Statement{
			SQL:  `update api_keys set revoked_at = coalesce(revoked_at, $2) where id = $1 returning true`,
			Args: []any{id, at}, Read: postgres.Row(&found, nil, pgx.RowTo[bool]),
		},
		postgres.Statement{SQL: `select pg_notify('` + KeyChannel + `', prefix) from api_keys where id = $1`, Args: []any{id}})
	if err == nil && !found {
		err = errNoKey(id)
	}
	return err
}

// tellKeys announces that the keys of a tenant changed altogether.
func (s store) tellKeys(ctx context.Context) error {
	return s.db.Finally(ctx, postgres.Statement{SQL: `select pg_notify('` + KeyChannel + `', '')`})
}

const keyRecordSelect = `select k.id, k.prefix, k.hash, k.tenant_id, k.role, k.scopes, k.expires_at,
		coalesce(k.revoked_at, case when t.status = 'deleting' then t.status_at end)
	from api_keys k join tenants t on t.id = k.tenant_id where `

// scanKeyRecord keeps NULL scopes (all of the role) apart from an empty list (nothing).
func scanKeyRecord(row pgx.CollectableRow) (k auth.KeyRecord, err error) {
	err = row.Scan(&k.ID, &k.Prefix, &k.Hash, &k.TenantID, &k.Role, &k.Scopes, &k.ExpiresAt, &k.RevokedAt)
	return k, err
}

func (s store) key(ctx context.Context, prefix string) (auth.KeyRecord, error) {
	k, ok, err := postgres.One(ctx, s.db, keyRecordSelect+`k.prefix = $1`, []any{prefix}, scanKeyRecord)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "There is no such key.")
	}
	return k, err
}

func (s store) keysByPrefix(ctx context.Context, prefixes []string) ([]auth.KeyRecord, error) {
	return postgres.All(ctx, s.db, keyRecordSelect+`k.prefix = any($1)`, []any{prefixes}, scanKeyRecord)
}

// writeUses moves the last uses of keys on, where they have grown older than a minute. A row that another
// process is writing is its.
func (s store) writeUses(ctx context.Context, ids []uuid.UUID, ats []time.Time) error {
	_, err := s.db.Exec(ctx, `
		with due as (
			select k.id, u.at from api_keys k join unnest($1::uuid[], $2::timestamptz[]) u (id, at) on k.id = u.id
			where k.last_used_at is null or k.last_used_at <= u.at - interval '1 minute'
			for no key update of k skip locked)
		update api_keys k set last_used_at = due.at from due where k.id = due.id`, ids, ats)
	return err
}
