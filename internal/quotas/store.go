package quotas

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
)

// store is the SQL of limits; store_*.go hold that of what is used.
type store struct {
	db *postgres.DB
}

// sourced is a row with its source.
type sourced struct {
	source source
	row    Row
}

func rowsStatement(tenant uuid.UUID, rows *[]sourced) postgres.Statement {
	return postgres.Statement{
		SQL: `select source, concurrent_runs, held_runs, runs_per_day, tokens_per_month, cost_usd_per_month::text, requests_per_minute,
				schedules, streams, soft_percent, on_exhausted, updated_by, updated_at
			from tenant_quotas where tenant_id = $1`,
		Args: []any{tenant},
		Read: postgres.Rows(rows, func(row pgx.CollectableRow) (s sourced, err error) {
			r := &s.row
			var cost *string
			err = row.Scan(&s.source, &r.ConcurrentRuns, &r.HeldRuns, &r.RunsPerDay, &r.TokensPerMonth, &cost, &r.RequestsPerMinute,
				&r.Schedules, &r.Streams, &r.SoftPercent, &r.OnExhausted, &r.UpdatedBy, &r.UpdatedAt)
			if err != nil || cost == nil {
				return s, err
			}
			d, err := decimal.NewFromString(*cost)
			r.CostUSDPerMonth = &d
			return s, err
		}),
	}
}

// sources are what holds for a tenant, by who says it.
type sources struct {
	byDefault Limits
	rows      map[source]*Row
}

func (s sources) effective() Limits {
	return effective(s.byDefault, s.rows[sourcePlatform].limits(), s.rows[sourceTenant].limits())
}

// read returns what the sources say of a tenant; statements of with follow in the same round trip.
func (s store) read(ctx context.Context, tenant uuid.UUID, with ...postgres.Statement) (sources, error) {
	var found []sourced
	of := sources{rows: map[source]*Row{}}
	err := s.db.Batch(ctx, append(with, defaultsStatement(&of.byDefault), rowsStatement(tenant, &found))...)
	for _, row := range found {
		of.rows[row.source] = &row.row
	}
	return of, err
}

func defaultsStatement(l *Limits) postgres.Statement {
	return postgres.Statement{
		SQL: `select concurrent_runs, held_runs, runs_per_day, requests_per_minute, schedules, streams from platform_limits`,
		Read: postgres.Row(l, nil, func(row pgx.CollectableRow) (l Limits, err error) {
			err = row.Scan(&l.ConcurrentRuns, &l.HeldRuns, &l.RunsPerDay, &l.RequestsPerMinute, &l.Schedules, &l.Streams)
			return l, err
		}),
	}
}

// replaceDefaults writes the defaults of all tenants; what is as it was is not written.
func (s store) replaceDefaults(ctx context.Context, l Limits) error {
	_, err := s.db.Exec(ctx, `
		insert into platform_limits as p (concurrent_runs, held_runs, runs_per_day, requests_per_minute, schedules, streams)
		values ($1, $2, $3, $4, $5, $6)
		on conflict (singleton) do update set concurrent_runs = excluded.concurrent_runs, held_runs = excluded.held_runs,
			runs_per_day = excluded.runs_per_day, requests_per_minute = excluded.requests_per_minute, schedules = excluded.schedules,
			streams = excluded.streams, updated_at = excluded.updated_at
		where (p.concurrent_runs, p.held_runs, p.runs_per_day, p.requests_per_minute, p.schedules, p.streams)
			is distinct from (excluded.concurrent_runs, excluded.held_runs, excluded.runs_per_day, excluded.requests_per_minute, excluded.schedules, excluded.streams)`,
		l.ConcurrentRuns, l.HeldRuns, l.RunsPerDay, l.RequestsPerMinute, l.Schedules, l.Streams)
	return err
}

// find returns what the sources say and what is used, of one moment.
func (s store) find(ctx context.Context, tenant uuid.UUID) (sources, used, error) {
	var u used
	var exists bool
	of, err := s.read(ctx, tenant, append(usedStatements(tenant, &u), postgres.Statement{
		SQL: `select true from tenants where id = $1`, Args: []any{tenant}, Read: postgres.Row(new(bool), &exists, pgx.RowTo[bool]),
	})...)
	if err == nil && !exists {
		err = missing(tenant)
	}
	return of, u, err
}

// replace writes a source's row; fault.NotFound when there is no such tenant.
func (s store) replace(ctx context.Context, tenant uuid.UUID, by source, l Limits, actor string) error {
	var cost *string
	if l.CostUSDPerMonth != nil {
		text := l.CostUSDPerMonth.String()
		cost = &text
	}
	_, err := s.db.Exec(ctx, `
		insert into tenant_quotas (tenant_id, source, concurrent_runs, held_runs, runs_per_day, tokens_per_month, cost_usd_per_month,
			requests_per_minute, schedules, soft_percent, on_exhausted, updated_by, updated_at, streams)
		values ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8, $9, $10, $11, $12, $13, $14)
		on conflict (tenant_id, source) do update set concurrent_runs = excluded.concurrent_runs, held_runs = excluded.held_runs,
			runs_per_day = excluded.runs_per_day, tokens_per_month = excluded.tokens_per_month, cost_usd_per_month = excluded.cost_usd_per_month,
			requests_per_minute = excluded.requests_per_minute, schedules = excluded.schedules, streams = excluded.streams, soft_percent = excluded.soft_percent,
			on_exhausted = excluded.on_exhausted, updated_by = excluded.updated_by, updated_at = excluded.updated_at`,
		tenant, by, l.ConcurrentRuns, l.HeldRuns, l.RunsPerDay, l.TokensPerMonth, cost, l.RequestsPerMinute, l.Schedules,
		l.SoftPercent, l.OnExhausted, actor, clock.Now(), l.Streams)
	if strings.Contains(postgres.ForeignKeyViolation(err), "tenant") {
		return missing(tenant)
	}
	return err
}
