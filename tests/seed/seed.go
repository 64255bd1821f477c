// Package seed fills a database with the history of many tenants, for tests of what is fast and how.
package seed

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

// History says how much is to have happened.
type History struct {
	Tenants int
	Runs    int       // of all tenants; the first of a thousand has a tenth of them
	Days    int       // over which they are spread
	Until   time.Time // when the last one ended
}

// agents of each tenant; half of the runs are in a workspace.
const agents = 10

// Fill writes ended runs with a step or two each and the facts of them, which are in the order of time and in no
// rollup yet. It gives the tenants, the one with the most runs first. Triggers and references are not looked at: ten
// thousand runs take less than a second this way, a million one or two minutes, most of them for the indexes.
func Fill(t testing.TB, d *pgtest.Database, h History) []uuid.UUID {
	t.Helper()
	conn := d.Conn(t)
	tenants := make([]uuid.UUID, h.Tenants)
	for i := range tenants {
		tenants[i] = uuid.Must(uuid.NewV7())
	}
	if _, err := conn.Exec(t.Context(), `set session_replication_role = replica`); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		sql  string
		args []any
	}{
		{`select setseed(0.5)`, nil},
		{`insert into tenants (id, slug, name) select id, 'seed-' || n, 'Seed' from unnest($1::uuid[]) with ordinality as t (id, n)`, []any{tenants}},
		{`insert into agents (id, tenant_id, slug, name, version, created_at, updated_at)
			select md5(t.id::text || n)::uuid, t.id, 'agent-' || n, 'Agent', 1, now(), now() from tenants t, generate_series(1, $1::int) n`, []any{agents}},
		{`insert into workspaces (id, tenant_id, slug, name) select md5(id::text)::uuid, id, 'w', 'W' from tenants`, nil},
		{`insert into agent_runs (id, tenant_id, workspace_id, agent_id, agent_version, status, input, error, input_tokens, output_tokens, cost_usd, step,
				max_steps, timeout_seconds, approval_seconds, created_by, created_at, started_at, finished_at)
			select gen_random_uuid(), tenant, case when n % 2 = 0 then md5(tenant::text)::uuid end,
				md5(tenant::text || (1 + floor($4 * random() * random())::int))::uuid, 1, status, '[]',
				case when status in ('failed', 'timed_out') then '{"code": "model_error"}'::jsonb end,
				100 * steps, 10 * steps, 0.001 * steps, steps, 9, 9, 9, 'seed', created, created + wait * interval '1 s', created + (wait + duration) * interval '1 s'
			from (
				select n, ($1::uuid[])[1 + floor(cardinality($1::uuid[]) * power(random(), 3))::int] as tenant, 1 + n % 2 as steps,
					(array['completed', 'completed', 'completed', 'completed', 'failed', 'cancelled', 'timed_out'])[1 + n % 7] as status,
					$5::timestamptz - interval '5 min' - ($2::bigint - n) * ($3::int * interval '1 day' / $2) as created, random() * 2 as wait, random() * 200 as duration
				from generate_series(1, $2::int) n) r`, []any{tenants, h.Runs, h.Days, agents, h.Until}},
		{`insert into run_steps (tenant_id, run_id, step, content, finish, model, input_tokens, output_tokens, cost_usd, estimated, finished_at)
			select tenant_id, id, n, '', 'stop', case when n % 2 = 0 then 'small' else 'large' end, 100, 10, 0.001, false, finished_at
			from agent_runs r, generate_series(1, r.step) n`, nil},
		{`insert into analytics_pending
			select tenant_id, run_id, kind, step, at, agent_id, workspace_id, model, input_tokens, output_tokens, cost_usd, estimated, status, error_code, created_at, started_at
			from (
				select s.tenant_id, s.run_id, 'step' as kind, s.step, s.finished_at as at, r.agent_id, coalesce(r.workspace_id, $1::uuid) as workspace_id, s.model,
					s.input_tokens, s.output_tokens, s.cost_usd, s.estimated, null as status, null as error_code, null::timestamptz as created_at, null::timestamptz as started_at
				from run_steps s join agent_runs r on r.id = s.run_id
				union all
				select tenant_id, id, 'run', 0, finished_at, agent_id, coalesce(workspace_id, $1::uuid), 'large', 0, 0, 0, false, status, coalesce(error ->> 'code', ''),
					created_at, started_at from agent_runs) f
			order by at`, []any{uuid.Nil}},
		{`analyze agent_runs, run_steps, analytics_pending`, nil},
	} {
		if _, err := conn.Exec(t.Context(), s.sql, s.args...); err != nil {
			t.Fatalf("%v: %s", err, s.sql)
		}
	}
	return tenants
}
