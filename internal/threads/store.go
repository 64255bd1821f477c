package threads

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

type store struct {
	db *postgres.DB
}

const threadSelect = `select id, tenant_id, title, metadata, message_count, created_at, updated_at from threads
	where tenant_id = (select lari.tenant_id())`

func scanThread(row pgx.CollectableRow) (Thread, error) {
	var t Thread
	err := row.Scan(&t.ID, &t.TenantID, &t.Title, &t.Metadata, &t.MessageCount, &t.CreatedAt, &t.UpdatedAt)
	return t, err
}

func (s store) one(ctx context.Context, sql string, id uuid.UUID) (Thread, error) {
	t, ok, err := postgres.One(ctx, s.db, sql, []any{id}, scanThread)
	if err == nil && !ok {
		err = missing(id)
	}
	return t, err
}

func (s store) find(ctx context.Context, id uuid.UUID) (Thread, error) {
	return s.one(ctx, threadSelect+` and id = $1`, id)
}

// lock reads a thread and holds it until the transaction ends.
func (s store) lock(ctx context.Context, id uuid.UUID) (Thread, error) {
	return s.one(ctx, threadSelect+` and id = $1 for update`, id)
}

func (s store) list(ctx context.Context, before uuid.UUID, limit int) ([]Thread, error) {
	return postgres.All(ctx, s.db, threadSelect+` and id < $1 order by id desc limit $2`, []any{before, limit}, scanThread)
}

// insert adds a thread; created is false when one of that id exists.
func (s store) insert(ctx context.Context, t Thread) (created bool, err error) {
	n, err := s.db.Exec(ctx, `insert into threads (id, tenant_id, title, metadata, created_at, updated_at)
		values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing`,
		t.ID, t.TenantID, t.Title, []byte(t.Metadata), t.CreatedAt, t.UpdatedAt)
	return n == 1, err
}

func (s store) update(ctx context.Context, t Thread) error {
	_, err := s.db.Exec(ctx, `update threads set title = $2, metadata = $3, updated_at = $4 where id = $1`,
		t.ID, t.Title, []byte(t.Metadata), t.UpdatedAt)
	return err
}

// delete removes a thread. Ended runs forget it by their foreign key; a trigger keeps it for an active one.
func (s store) delete(ctx context.Context, id uuid.UUID) error {
	_, err := s.db.Exec(ctx, `delete from threads where id = $1`, id)
	if postgres.CheckViolation(err) == "thread_is_busy" {
		return fault.New(fault.ThreadBusy, "A run is active on this thread; wait for it or cancel it.")
	}
	return err
}

const messageColumns = `position, role, content, run_id, created_at`

func scanMessage(row pgx.CollectableRow) (Message, error) {
	var m Message
	err := row.Scan(&m.Position, &m.Role, &m.Content, &m.RunID, &m.CreatedAt)
	return m, err
}

func (s store) messages(ctx context.Context, id uuid.UUID, after, limit int) ([]Message, error) {
	return postgres.All(ctx, s.db, `select `+messageColumns+` from messages where thread_id = $1 and position > $2 order by position limit $3`,
		[]any{id, after, limit}, scanMessage)
}

// history gives the latest messages before those of the run, the oldest first.
func (s store) history(ctx context.Context, id, before uuid.UUID, limit int) ([]Message, error) {
	return postgres.All(ctx, s.db, `
		select `+messageColumns+` from (
			select * from messages where thread_id = $1
			and position < coalesce((select min(position) from messages where thread_id = $1 and run_id = $2), 2147483647)
			order by position desc limit $3) latest
		order by position`, []any{id, before, limit}, scanMessage)
}

func (s store) append(ctx context.Context, id uuid.UUID, messages []NewMessage, at clock.Time) (found bool, err error) {
	n := len(messages)
	roles, contents, runs := make([]string, n), make([]string, n), make([]*uuid.UUID, n)
	for i, m := range messages {
		roles[i], contents[i], runs[i] = string(m.Role), m.Content, m.RunID
	}
	found, _, err = postgres.One(ctx, s.db, `
		with thread as (
			update threads set message_count = message_count + $3, updated_at = $4 where id = $1
			returning message_count - $3 as base),
		added as (
			insert into messages (tenant_id, thread_id, position, role, content, run_id, created_at)
			select $2, $1, t.base + m.ord, m.role, m.content, m.run_id, $4
			from thread t, unnest($5::text[], $6::text[], $7::uuid[]) with ordinality as m (role, content, run_id, ord))
		select exists (select from thread)`,
		[]any{id, scope.Tenant(ctx), n, at, roles, contents, runs}, pgx.RowTo[bool])
	return found, err
}

// withdraw takes a run's messages back if they are the thread's last ones: positions keep having no holes.
func (s store) withdraw(ctx context.Context, id, run uuid.UUID) error {
	_, err := s.db.Exec(ctx, `
		with gone as (
			delete from messages m where m.thread_id = $1 and m.run_id = $2 and not exists (
				select from messages later where later.thread_id = $1 and later.position > m.position and later.run_id is distinct from $2)
			returning 1)
		update threads set message_count = message_count - (select count(*) from gone) where id = $1`, id, run)
	return err
}

// copyMessages copies a thread's messages up to a position to another thread.
func (s store) copyMessages(ctx context.Context, from, to uuid.UUID, until int) error {
	_, err := s.db.Exec(ctx, `
		with copied as (
			insert into messages (tenant_id, thread_id, position, role, content, run_id, created_at)
			select tenant_id, $2, position, role, content, null, created_at from messages where thread_id = $1 and position <= $3
			returning 1)
		update threads set message_count = (select count(*) from copied) where id = $2`, from, to, until)
	return err
}
