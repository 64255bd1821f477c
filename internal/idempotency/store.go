package idempotency

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

type store struct{ db *postgres.DB }

// of gives a statement, and the context that it runs in, for the keys of the context's tenant; or, where
// there is none, for those of the platform, whose table has the same columns.
func (store) of(ctx context.Context, sql string) (context.Context, string) {
	if scope.Tenant(ctx) != uuid.Nil {
		return ctx, sql
	}
	return postgres.AsSystem(ctx), ofPlatform(sql)
}

func ofPlatform(sql string) string {
	return strings.NewReplacer("idempotency_keys", "platform_idempotency_keys", "lari.tenant_id()", "'"+uuid.Nil.String()+"'::uuid").Replace(sql)
}

// reservation is the right to answer for a key. until is also its fencing token: whoever takes over
// writes another time, and the one who lost it can conclude nothing any more.
type reservation struct {
	resource uuid.UUID
	until    time.Time
	taken    bool // from a holder that did not conclude
}

// record is what is known of a key; answer is nil while it is reserved.
type record struct {
	hash     [sha256.Size]byte
	resource uuid.UUID
	answer   *Answer
}

// reserve takes the key if it is free, or if its holder's lock has run out and the request is the same. An unanswered
// key older than Retention is free, although no sweep has removed it yet: its resource id is too old for a new
// resource, because lists by time take ids for about as old as what they name.
func (s store) reserve(ctx context.Context, r Request) (reservation, bool, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return reservation{}, false, fmt.Errorf("make an id: %w", err)
	}
	ctx, sql := s.of(ctx, `
		insert into public.idempotency_keys (tenant_id, route, key, request_hash, resource_id, locked_until)
		values (lari.tenant_id(), $1, $2, $3, $4, clock_timestamp() + $5::interval)
		on conflict (tenant_id, route, key) do update set locked_until = excluded.locked_until,
			resource_id = case when idempotency_keys.created_at < now() - $6::interval then excluded.resource_id else idempotency_keys.resource_id end,
			created_at = case when idempotency_keys.created_at < now() - $6::interval then now() else idempotency_keys.created_at end
		where idempotency_keys.status is null and idempotency_keys.locked_until < clock_timestamp()
		  and idempotency_keys.request_hash = excluded.request_hash
		returning resource_id, locked_until`)
	held, ok, err := postgres.One(ctx, s.db, sql,
		[]any{r.Route, r.Key, r.Hash[:], id, lockFor, Retention},
		func(row pgx.CollectableRow) (v reservation, err error) {
			err = row.Scan(&v.resource, &v.until)
			return v, err
		})
	if postgres.ForeignKeyViolation(err) != "" {
		return reservation{}, false, fault.Wrap(err, fault.NotFound, "There is no such tenant.")
	}
	held.taken = held.resource != id
	return held, ok, err
}

func (s store) find(ctx context.Context, r Request) (record, bool, error) {
	ctx, sql := s.of(ctx, `
		select request_hash, resource_id, status, coalesce(location, ''), body
		from public.idempotency_keys where tenant_id = lari.tenant_id() and route = $1 and key = $2`)
	return postgres.One(ctx, s.db, sql, []any{r.Route, r.Key},
		func(row pgx.CollectableRow) (v record, err error) {
			var hash []byte
			var status *int
			var a Answer
			if err = row.Scan(&hash, &v.resource, &status, &a.Location, &a.Body); err != nil {
				return v, err
			}
			copy(v.hash[:], hash)
			if status != nil {
				a.Status = *status
				v.answer = &a
			}
			return v, nil
		})
}

func (s store) finish(ctx context.Context, r Request, held reservation, a Answer) error {
	return s.change(ctx, `
		update public.idempotency_keys set status = $4, location = nullif($5, ''), body = $6
		where tenant_id = lari.tenant_id() and route = $1 and key = $2 and locked_until = $3 and status is null`,
		r.Route, r.Key, held.until, a.Status, a.Location, a.Body)
}

// unlock ends the lock and keeps the resource id for the next try.
func (s store) unlock(ctx context.Context, r Request, held reservation) error {
	return s.change(ctx, `
		update public.idempotency_keys set locked_until = '-infinity'
		where tenant_id = lari.tenant_id() and route = $1 and key = $2 and locked_until = $3 and status is null`,
		r.Route, r.Key, held.until)
}

func (s store) forget(ctx context.Context, r Request, held reservation) error {
	return s.change(ctx, `
		delete from public.idempotency_keys
		where tenant_id = lari.tenant_id() and route = $1 and key = $2 and locked_until = $3 and status is null`,
		r.Route, r.Key, held.until)
}

func (s store) change(ctx context.Context, sql string, args ...any) error {
	ctx, sql = s.of(ctx, sql)
	n, err := s.db.Exec(ctx, sql, args...)
	if err == nil && n == 0 {
		return errLostReservation
	}
	return err
}

func (s store) sweep(ctx context.Context, olderThan time.Duration) (int64, error) {
	const sql = `delete from public.idempotency_keys where created_at < clock_timestamp() - $1::interval`
	n, err := s.db.Exec(ctx, sql, olderThan)
	if err != nil {
		return n, err
	}
	more, err := s.db.Exec(ctx, ofPlatform(sql), olderThan)
	return n + more, err
}
