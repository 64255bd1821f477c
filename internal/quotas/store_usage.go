package quotas

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/postgres"
)

// usedStatements read what the tenant uses now.
func usedStatements(tenant uuid.UUID, u *used) []postgres.Statement {
	return []postgres.Statement{
		{
			SQL: `select active, held from lari.runs_in_use($1)`, Args: []any{tenant},
			Read: postgres.Row(u, nil, func(row pgx.CollectableRow) (used, error) {
				read := *u
				err := row.Scan(&read.Active, &read.Held)
				return read, err
			}),
		},
		{
			SQL: `select coalesce(sum(runs) filter (where period = 'day'), 0)::bigint,
					coalesce(sum(tokens) filter (where period = 'month'), 0)::bigint,
					coalesce(sum(reserved_tokens) filter (where period = 'month'), 0)::bigint,
					coalesce(sum(cost_usd) filter (where period = 'month'), 0)::text,
					coalesce(sum(reserved_cost_usd) filter (where period = 'month'), 0)::text
				from quota_usage where tenant_id = $1 and (
					period = 'day' and starts_on = (now() at time zone 'UTC')::date
					or period = 'month' and starts_on = date_trunc('month', now() at time zone 'UTC')::date)`,
			Args: []any{tenant},
			Read: postgres.Row(u, nil, func(row pgx.CollectableRow) (used, error) {
				read := *u
				var cost, reserved string
				if err := row.Scan(&read.Today, &read.Tokens, &read.Reserved, &cost, &reserved); err != nil {
					return used{}, err
				}
				var err error
				if read.Cost, err = decimal.NewFromString(cost); err != nil {
					return used{}, err
				}
				read.ReservedCost, err = decimal.NewFromString(reserved)
				return read, err
			}),
		},
		{
			SQL: `select extract(epoch from b.full_at - clock_timestamp())::double precision / r.every, r.burst, r.every
				from rate_buckets b, lari.rate_of(b.per_minute) r where b.tenant_id = $1`,
			Args: []any{tenant},
			Read: postgres.Row(u, nil, func(row pgx.CollectableRow) (used, error) {
				read := *u
				var every float64
				err := row.Scan(&read.Requests, &read.Burst, &every)
				read.RequestsEvery = time.Duration(every * float64(time.Second))
				return read, err
			}),
		},
	}
}

// limitedStatement reads whether the tenant's tokens or money are limited.
func limitedStatement(tenant uuid.UUID, limited *bool) postgres.Statement {
	return postgres.Statement{
		SQL:  `select exists (select from tenant_quotas where tenant_id = $1 and (tokens_per_month is not null or cost_usd_per_month is not null))`,
		Args: []any{tenant}, Read: postgres.Row(limited, nil, pgx.RowTo[bool]),
	}
}

// answer is what lari.reserve_usage gives.
type answer struct {
	Output      *int64    `json:"output"`
	Refused     *shortage `json:"refused"`
	OnExhausted Exhausted `json:"on_exhausted"`
	Ended       bool      `json:"ended"`
}

type shortage struct {
	Quota    string      `json:"quota"`
	Limit    json.Number `json:"limit"`
	Used     json.Number `json:"used"`
	Reserved json.Number `json:"reserved"`
	FreesAt  time.Time   `json:"frees_at"`
}

func (s store) reserve(ctx context.Context, tenant uuid.UUID, d Demand) (a answer, err error) {
	raw, _, err := postgres.One(ctx, s.db, `select lari.reserve_usage($1, $2, $3, $4, $5, $6, $7::text::numeric, $8::text::numeric)`,
		[]any{tenant, d.Run, d.Step, d.InputTokens, d.OutputTokens, min(leastOutput, d.OutputTokens), d.InputCost.String(), d.OutputPrice.String()},
		pgx.RowTo[[]byte])
	if err != nil {
		return answer{}, err
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return answer{}, fmt.Errorf("read the answer to a reservation: %w", err)
	}
	return a, nil
}

func settleStatement(tenant, run uuid.UUID, step int, tokens int64, cost decimal.Decimal, passed *[]string) postgres.Statement {
	return postgres.Statement{
		SQL: `select lari.settle_usage($1, $2, $3, $4, $5::text::numeric)`, Args: []any{tenant, run, step, tokens, cost.String()},
		Read: postgres.Row(passed, nil, pgx.RowTo[[]string]),
	}
}

func freeStatement(run uuid.UUID) postgres.Statement {
	return postgres.Statement{SQL: `select lari.free_usage($1)`, Args: []any{run}}
}
