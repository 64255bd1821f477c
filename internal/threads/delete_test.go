package threads_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// run inserts a run on a thread, past the code: its domain is another one.
func run(ctx context.Context, t *testing.T, d *pgtest.Database, tenant, thread uuid.UUID, status string) (id uuid.UUID) {
	t.Helper()
	agent := uuid.New()
	id = uuid.New()
	_, err := d.DB.Exec(ctx, `insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) values ($1, $2, $3, 'A', 1, now(), now())`,
		agent, tenant, agent.String())
	if err == nil {
		_, err = d.DB.Exec(ctx, `
			insert into agent_runs (id, tenant_id, agent_id, agent_version, thread_id, status, input, max_steps, timeout_seconds, approval_seconds, created_by, created_at, finished_at)
			values ($1, $2, $3, 1, $4, $5, '[]', 1, 1, 1, 'test', now(), case when $5 in ('completed', 'failed', 'cancelled', 'timed_out') then now() end)`,
			id, tenant, agent, thread, status)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, tenant := d.Tenant(t, "one")
	th, other := create(ctx, t, s, ""), create(ctx, t, s, "")
	for _, id := range []uuid.UUID{th.ID, other.ID} {
		if err := s.Append(ctx, id, say("a")...); err != nil {
			t.Fatal(err)
		}
	}
	done := run(ctx, t, d, tenant, th.ID, "completed")
	active := run(ctx, t, d, tenant, th.ID, "waiting")
	wantCode(t, s.DeleteThread(ctx, th.ID, false), fault.ThreadBusy)
	if got := contents(ctx, t, s, th.ID, 50); len(got) != 1 {
		t.Errorf("the refused deletion left %q", got)
	}
	if _, err := d.DB.Exec(ctx, `update agent_runs set status = 'failed', finished_at = now() where id = $1`, active); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteThread(ctx, th.ID, false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.DeleteThread(ctx, th.ID, false), fault.NotFound)
	_, err := s.FindThread(ctx, th.ID)
	wantCode(t, err, fault.NotFound)
	_, err = s.FindMessages(ctx, th.ID, page.Request{})
	wantCode(t, err, fault.NotFound)
	if got := contents(ctx, t, s, other.ID, 50); len(got) != 1 {
		t.Errorf("the other thread is %q", got)
	}
	var kept, messages int
	err = d.Conn(t).QueryRow(ctx, `select (select count(*) from agent_runs where id in ($1, $2) and thread_id is null and tenant_id = $3),
		(select count(*) from messages where thread_id = $4)`, done, active, tenant, th.ID).Scan(&kept, &messages)
	if err != nil || kept != 2 || messages != 0 {
		t.Errorf("%d runs without a thread and %d messages are left (error %v), want 2 and 0", kept, messages, err)
	}
}

// A run that comes onto the thread while it is deleted: either the run is refused, or the deletion is.
func TestDeleteWhileARunComes(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, tenant := d.Tenant(t, "one")
	agent := uuid.New()
	if _, err := d.DB.Exec(ctx, `insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) values ($1, $2, 'a', 'A', 1, now(), now())`, agent, tenant); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		th := create(ctx, t, s, "")
		var deleted, came error
		var wg sync.WaitGroup
		wg.Go(func() { deleted = s.DeleteThread(ctx, th.ID, false) })
		wg.Go(func() {
			came = d.DB.Tx(ctx, func(ctx context.Context) error {
				_, err := d.DB.Exec(ctx, `
					insert into agent_runs (id, tenant_id, agent_id, agent_version, thread_id, status, input, max_steps, timeout_seconds, approval_seconds, created_by, created_at)
					values ($1, $2, $3, 1, $4, 'queued', '[]', 1, 1, 1, 'test', now())`, uuid.New(), tenant, agent, th.ID)
				if err != nil {
					return err
				}
				return s.Append(ctx, th.ID, say("x")...)
			})
		})
		wg.Wait()
		refused := postgres.ForeignKeyViolation(came) == "agent_runs_tenant_id_thread_id_fkey"
		if !(deleted == nil && refused) && !(fault.Is(deleted, fault.ThreadBusy) && came == nil) {
			t.Errorf("the deletion gave %v, the run %v; want one of them refused", deleted, came)
		}
	}
}
