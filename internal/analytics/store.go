package analytics

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/postgres"
)

type store struct {
	db *postgres.DB
}

// selection is what the three questions have in common: where the figures belong, and which rows they are of.
type selection struct {
	columns string // bucket, then tenant, agent, workspace and model, null where they are not asked for
	groups  string
	tenant  string // whose rows, a condition
	where   string
	args    []any
}

func (p plan) selection(tenants bool) selection {
	parts := cover(p.edges)
	grains, lows, highs := make([]int16, len(parts)), make([]time.Time, len(parts)), make([]time.Time, len(parts))
	for i, part := range parts {
		grains[i], lows[i], highs[i] = int16(part.grain), part.low, part.high
	}
	s := selection{tenant: "true", args: []any{p.edges, p.edges[0], p.edges[p.buckets()], grains, lows, highs}}
	columns, groups := []string{"width_bucket(at, $1::timestamptz[])"}, []string{"1"}
	for i, d := range []Dimension{ByTenant, ByAgent, ByWorkspace, ByModel} {
		switch {
		case p.groups(d):
			columns, groups = append(columns, string(d)), append(groups, fmt.Sprint(i+2))
		case d == ByModel:
			columns = append(columns, "''")
		default:
			columns = append(columns, "null::uuid")
		}
	}
	where := []string{"true"}
	param := func(value any) string {
		s.args = append(s.args, value)
		return fmt.Sprintf("$%d", len(s.args))
	}
	if !tenants { // the policy says so too; naming it here lets the planner walk the key
		s.tenant = "tenant_id = (select lari.tenant_id())"
	} else if p.tenant != nil {
		s.tenant = "tenant_id = " + param(*p.tenant)
	}
	if p.AgentID != nil {
		where = append(where, "agent_id = "+param(*p.AgentID))
	}
	if p.WorkspaceID != nil {
		where = append(where, "workspace_id = "+param(*p.WorkspaceID))
	}
	if p.Model != "" {
		where = append(where, "model = "+param(p.Model))
	}
	s.columns, s.groups, s.where = strings.Join(columns, ", "), strings.Join(groups, ", "), strings.Join(where, " and ")
	return s
}

// rows is what is summed up: cells of a rollup, stretch by stretch, and what is too fresh to be in it.
func (s selection) rows(rollup, fresh, columns string) string {
	all := "tenant_id, at, agent_id, workspace_id, " + columns
	return fmt.Sprintf(`(
		select u.* from unnest($4::smallint[], $5::timestamptz[], $6::timestamptz[]) as s (grain, low, high)
		cross join lateral (select %[1]s from %[2]s r where %[4]s and r.grain = s.grain and r.at >= s.low and r.at < s.high offset 0) u
		union all
		select %[1]s from %[3]s where %[4]s and at >= $2 and at < $3) u`, all, rollup, fresh, s.tenant)
}

// scanPlace reads the columns of a selection, and more behind them.
func scanPlace(row pgx.CollectableRow, more ...any) (at place, err error) {
	var tenant, agent, workspace *uuid.UUID
	err = row.Scan(append([]any{&at.bucket, &tenant, &agent, &workspace, &at.group.model}, more...)...)
	at.bucket--
	for to, id := range map[*uuid.UUID]*uuid.UUID{&at.group.tenant: tenant, &at.group.agent: agent, &at.group.workspace: workspace} {
		if id != nil {
			*to = *id
		}
	}
	return at, err
}

// each reads rows one by one; more than limit are too many.
func each(limit int, scan func(pgx.CollectableRow) error) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		n := 0
		for rows.Next() {
			if n++; n > limit {
				return tooMany()
			}
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

func (s store) usage(ctx context.Context, p plan) (map[place]UsageFigures, error) {
	found := map[place]UsageFigures{}
	return found, s.db.Batch(ctx, usageStatement(p.selection(false), found))
}

// platformUsage is usage across tenants.
func (s store) platformUsage(system context.Context, p plan) (map[place]UsageFigures, error) {
	found := map[place]UsageFigures{}
	return found, s.db.Batch(system, usageStatement(p.selection(true), found))
}

// usageStatement sums up steps.
func usageStatement(of selection, found map[place]UsageFigures) postgres.Statement {
	return postgres.Statement{
		SQL: fmt.Sprintf(`select %s, sum(steps)::bigint, sum(estimated_steps)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cost_usd)::text
			from %s where %s group by %s limit %d`, of.columns,
			of.rows("analytics_usage", "lari.usage_facts", "model, steps, estimated_steps, input_tokens, output_tokens, cost_usd"), of.where, of.groups, MaxRows+1),
		Args: of.args,
		Read: each(MaxRows, func(row pgx.CollectableRow) error {
			var f UsageFigures
			var cost string
			at, err := scanPlace(row, &f.Steps, &f.EstimatedSteps, &f.InputTokens, &f.OutputTokens, &cost)
			if err != nil {
				return err
			}
			if f.CostUSD, err = decimal.NewFromString(cost); err != nil {
				return fmt.Errorf("read a cost: %w", err)
			}
			found[at] = f
			return nil
		}),
	}
}

// countStatement counts runs.
func countStatement(p plan, found map[place]*both) postgres.Statement {
	of := p.selection(false)
	const sums = "sum(created)::bigint, sum(started)::bigint, sum(completed)::bigint, sum(failed)::bigint, sum(cancelled)::bigint, sum(timed_out)::bigint"
	return postgres.Statement{
		SQL: fmt.Sprintf(`with counted as (select %s, error_code, %s from %s where %s group by %s, error_code)
			select bucket, tenant, agent, workspace, model, %s, array_agg(error_code), array_agg((failed + timed_out)::bigint)
			from counted as c (bucket, tenant, agent, workspace, model, error_code, created, started, completed, failed, cancelled, timed_out)
			group by 1, 2, 3, 4, 5 limit %d`, of.columns, sums,
			of.rows("analytics_runs", "lari.fresh_runs", "error_code, created, started, completed, failed, cancelled, timed_out"), of.where, of.groups, sums, MaxRows+1),
		Args: of.args,
		Read: each(MaxRows, func(row pgx.CollectableRow) error {
			b := &both{counts: counts{errors: map[string]int64{}}}
			var codes []string
			var failures []int64
			at, err := scanPlace(row, &b.created, &b.started, &b.completed, &b.failed, &b.cancelled, &b.timedOut, &codes, &failures)
			if err != nil {
				return err
			}
			for i, n := range failures {
				if n != 0 && codes[i] != "" {
					b.errors[codes[i]] = n
				}
			}
			found[at] = b
			return nil
		}),
	}
}

// timeStatement sums up histograms, one row for each measure.
func timeStatement(p plan, add func(at place, measure string, h *histogram)) postgres.Statement {
	of := p.selection(false)
	columns, sums := make([]string, histogramBuckets), make([]string, histogramBuckets)
	for i := range sums {
		columns[i] = fmt.Sprintf("b%02d", i)
		sums[i] = "coalesce(sum(" + columns[i] + "), 0)::bigint"
	}
	return postgres.Statement{
		SQL: fmt.Sprintf(`select %s, measure, sum(n)::bigint, sum(sum_ms)::bigint, max(max_ms), array[%s]
			from %s where %s group by %s, measure limit %d`, of.columns, strings.Join(sums, ", "),
			of.rows("analytics_latency", "lari.fresh_latency", "measure, n, sum_ms, max_ms, "+strings.Join(columns, ", ")), of.where, of.groups, 2*MaxRows+1),
		Args: of.args,
		Read: each(2*MaxRows, func(row pgx.CollectableRow) error {
			var h histogram
			var measure string
			var counts []int64
			at, err := scanPlace(row, &measure, &h.n, &h.sum, &h.max, &counts)
			if err != nil {
				return err
			}
			copy(h.counts[:], counts)
			add(at, measure, &h)
			return nil
		}),
	}
}

// into gives the histogram that a measure belongs to.
func (t *times) into(measure string) *histogram {
	if measure == "queue_wait" {
		return &t.wait
	}
	return &t.duration
}

func (s store) runs(ctx context.Context, p plan) (map[place]*both, error) {
	found := map[place]*both{}
	err := s.db.Batch(ctx, countStatement(p, found), timeStatement(p, func(at place, measure string, h *histogram) {
		if found[at] == nil { // it began between the two statements
			found[at] = &both{}
		}
		found[at].into(measure).add(h)
	}))
	return found, err
}

func (s store) latency(ctx context.Context, p plan) (map[place]*times, error) {
	found := map[place]*times{}
	err := s.db.Batch(ctx, timeStatement(p, func(at place, measure string, h *histogram) {
		if found[at] == nil {
			found[at] = &times{}
		}
		found[at].into(measure).add(h)
	}))
	return found, err
}

func (s store) roll(system context.Context, pages int) (int64, error) {
	n, _, err := postgres.One(system, s.db, `select lari.roll_analytics($1)`, []any{pages}, pgx.RowTo[int64])
	return n, err
}

func (s store) rebuild(ctx context.Context, from, to time.Time) (int64, error) {
	n, _, err := postgres.One(ctx, s.db, `select lari.rebuild_analytics((select lari.tenant_id()), $1, $2)`, []any{from, to}, pgx.RowTo[int64])
	return n, err
}
