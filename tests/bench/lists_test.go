package bench

import (
	"context"
	"crypto/md5" //nolint:gosec // for names
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/harness"
)

const (
	listRuns    = 1_000_000
	listTenants = 1_000
	listAsks    = 2_000
)

// seedRuns fills a database with runs of a year: a few tenants have most of them, as it is in life. Each tenant
// has 20 agents, 200 threads, 5 schedules and 3 workspaces; 1 % of the runs are active.
func seedRuns(t testing.TB, conn *pgx.Conn, n, tenants int) {
	t.Helper()
	for _, sql := range []string{
		`insert into tenants (id, slug, name) select md5('t' || i)::uuid, 'tenant-' || i, 'T' from generate_series(1, $2::int) i where $1::int > 0`,
		`insert into workspaces (id, tenant_id, slug, name) select md5('w' || i || '.' || j)::uuid, md5('t' || i)::uuid, 'w' || j, 'W'
			from generate_series(1, $2::int) i, generate_series(1, 3) j where $1::int > 0`,
		`insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) select md5('a' || i || '.' || j)::uuid, md5('t' || i)::uuid, 'a' || j, 'A', 1, now(), now()
			from generate_series(1, $2::int) i, generate_series(1, 20) j where $1::int > 0`,
		`insert into threads (id, tenant_id, created_at, updated_at) select md5('h' || i || '.' || j)::uuid, md5('t' || i)::uuid, now(), now()
			from generate_series(1, $2::int) i, generate_series(1, 200) j where $1::int > 0`,
		`with r as (
			select i, 1 + floor($2::int * power(random(), 4))::int as tenant, now() - interval '365 days' * (1 - i::float / $1::int) as at, random() as x,
				case when random() < .3 then 1 + floor(random() * 200)::int end as thread, 1 + floor(20 * power(random(), 2))::int as agent,
				1 + floor(random() * 3)::int as workspace, case when random() < .2 then 1 + floor(random() * 5)::int end as schedule
			from generate_series(1, $1::int) i)
		insert into agent_runs (id, tenant_id, workspace_id, agent_id, agent_version, thread_id, schedule_id, status, input, output, metadata,
			input_tokens, output_tokens, cost_usd, step, max_steps, timeout_seconds, approval_seconds, created_by, created_at, started_at, finished_at)
		select encode(overlay(decode(md5('r' || i), 'hex') placing substring(int8send((extract(epoch from at) * 1000)::bigint) from 3) from 1 for 6), 'hex')::uuid,
			md5('t' || tenant)::uuid, md5('w' || tenant || '.' || workspace)::uuid, md5('a' || tenant || '.' || agent)::uuid, 1,
			case when x > .01 or thread is null then md5('h' || tenant || '.' || thread)::uuid end,
			md5('s' || tenant || '.' || schedule)::uuid,
			case when x < .01 then 'queued' when x < .06 then 'failed' when x < .08 then 'cancelled' when x < .081 then 'timed_out' else 'completed' end,
			'[{"role": "user", "content": "What does it say about the delivery times in the contract of last year?"}]', repeat('An answer of some words. ', 10), '{}',
			500, 100, .001, 1, 10, 600, 3600, 'seed', at, at + interval '1 second', case when x >= .01 then at + interval '9 seconds' end
		from r`,
		`vacuum analyze agent_runs`,
	} {
		var args []any
		if sql[0] != 'v' {
			args = []any{n, tenants}
		}
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("seed: %v", err)
		}
	}
}

// TestLists asks for pages of runs with every kind of filter, of tenants large and small, first pages and later
// ones.
func TestLists(t *testing.T) {
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	p.NewTenant(t, agents.Config{})
	began := time.Now()
	seedRuns(t, s.Database.Conn(t), listRuns, listTenants)
	fmt.Printf("%d runs of %d tenants seeded in %.0f s\n", listRuns, listTenants, time.Since(began).Seconds())
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // chance is all it is
	byFilter := map[string][]time.Duration{}
	var all []time.Duration
	for i := range listAsks {
		tenant := 1 + i%10 // every other request is of one of the largest
		if i%2 == 0 {
			tenant = 1 + random.IntN(listTenants)
		}
		ctx := scope.With(t.Context(), scope.Scope{Tenant: seeded("t%d", tenant)})
		name, filter := someFilter(random, tenant)
		next := ""
		for range 1 + i%3 {
			took, cursor := askList(ctx, t, p.App.Runs, filter, next)
			if i >= 100 { // warm-up
				all, byFilter[name] = append(all, took), append(byFilter[name], took)
			}
			if next = cursor; next == "" {
				break
			}
		}
	}
	for name, took := range byFilter {
		report("list of runs by "+name, took)
	}
	report("list of runs, all filters, as the service sees it (p95 20 ms at most)", all)
}

// seeded gives an id that seedRuns made.
func seeded(format string, of ...any) uuid.UUID {
	return uuid.UUID(md5.Sum(fmt.Appendf(nil, format, of...))) //nolint:gosec // a name, as Postgres makes it
}

func someFilter(random *rand.Rand, tenant int) (string, runs.Filter) {
	statuses := runs.Statuses()
	agent := seeded("a%d.%d", tenant, 1+random.IntN(20))
	thread := seeded("h%d.%d", tenant, 1+random.IntN(200))
	schedule := seeded("s%d.%d", tenant, 1+random.IntN(5))
	workspace := seeded("w%d.%d", tenant, 1+random.IntN(3))
	from := time.Now().Add(-time.Duration(random.IntN(365*24)) * time.Hour)
	until := from.Add(time.Duration(1+random.IntN(72)) * time.Hour)
	one := []runs.Status{statuses[random.IntN(len(statuses))]}
	switch random.IntN(10) {
	case 0:
		return "nothing", runs.Filter{}
	case 1:
		return "status", runs.Filter{Status: one}
	case 2:
		return "several statuses", runs.Filter{Status: []runs.Status{runs.Queued, runs.Running, runs.Failed}}
	case 3:
		return "agent", runs.Filter{AgentID: &agent}
	case 4:
		return "thread", runs.Filter{ThreadID: &thread}
	case 5:
		return "schedule", runs.Filter{ScheduleID: &schedule}
	case 6:
		return "workspace and status", runs.Filter{WorkspaceID: &workspace, Status: one}
	case 7:
		return "time", runs.Filter{CreatedAfter: &from, CreatedBefore: &until}
	case 8:
		return "agent and status", runs.Filter{AgentID: &agent, Status: one}
	}
	return "agent, status and time", runs.Filter{AgentID: &agent, Status: one, CreatedAfter: &from, CreatedBefore: &until}
}

func askList(ctx context.Context, t *testing.T, service *runs.Service, f runs.Filter, cursor string) (took time.Duration, next string) {
	t.Helper()
	began := time.Now()
	found, err := service.FindAll(ctx, f, page.Request{Limit: 50, Cursor: cursor})
	took = time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	if found.NextCursor != nil {
		next = *found.NextCursor
	}
	return took, next
}
