package quotas

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/clock"
)

// Usage is what is used of each quota now.
type Usage struct {
	ConcurrentRuns    Count `json:"concurrent_runs" required:"true"`
	HeldRuns          Count `json:"held_runs" required:"true"`
	RunsPerDay        Count `json:"runs_per_day" required:"true"`
	TokensPerMonth    Count `json:"tokens_per_month" required:"true"`
	CostUSDPerMonth   Money `json:"cost_usd_per_month" required:"true"`
	RequestsPerMinute Count `json:"requests_per_minute" required:"true"`
}

// Count is what is used of a quota in whole numbers.
type Count struct {
	Limit    *int64 `json:"limit" required:"true" description:"Null: there is none."`
	Used     int64  `json:"used" required:"true" description:"Of requests: what the last seconds took of the burst and time has not yet made up for."`
	Reserved int64  `json:"reserved" required:"true" description:"What steps under way may use at most."`
	State
}

// Money is what is used of a quota in US dollars.
type Money struct {
	Limit    *decimal.Decimal `json:"limit" required:"true" description:"Decimal US dollars; null: there is none."`
	Used     decimal.Decimal  `json:"used" required:"true" description:"Decimal US dollars."`
	Reserved decimal.Decimal  `json:"reserved" required:"true" description:"What steps under way may cost at most."`
	State
}

// State is where a quota stands.
type State struct {
	Soft      bool        `json:"soft_limit_passed" required:"true" description:"So much is used that warnings are given."`
	Exhausted bool        `json:"exhausted" required:"true" description:"There is no room now."`
	FreesAt   *clock.Time `json:"frees_at" required:"true" description:"When what is used counts no more; null: when a run ends, or nothing is limited."`
}

// used is what the database knows of a tenant.
type used struct {
	Active, Held  int64
	Today         int64
	Tokens        int64
	Reserved      int64
	Cost          decimal.Decimal
	ReservedCost  decimal.Decimal
	Requests      float64 // of the burst
	Burst         int64
	RequestsEvery time.Duration
}

// usage sets what is used against what may be.
func usage(l Limits, u used, at time.Time) Usage {
	soft := int64(*l.SoftPercent)
	day := at.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	month := time.Date(at.UTC().Year(), at.UTC().Month()+1, 1, 0, 0, 0, 0, time.UTC)
	count := func(limit *int64, used, reserved int64, frees *time.Time) Count {
		c := Count{Limit: limit, Used: used, Reserved: reserved}
		if limit != nil {
			c.State = State{Soft: used*100 >= *limit*soft, Exhausted: used+reserved >= *limit, FreesAt: clock.Ref(frees)}
		}
		return c
	}
	all := Usage{
		ConcurrentRuns:    count(wide(l.ConcurrentRuns), u.Active, 0, nil),
		HeldRuns:          count(wide(l.HeldRuns), u.Held, 0, nil),
		RunsPerDay:        count(wide(l.RunsPerDay), u.Today, 0, &day),
		TokensPerMonth:    count(l.TokensPerMonth, u.Tokens, u.Reserved, &month),
		CostUSDPerMonth:   Money{Limit: l.CostUSDPerMonth, Used: u.Cost, Reserved: u.ReservedCost},
		RequestsPerMinute: Count{Limit: wide(l.RequestsPerMinute)},
	}
	if limit := l.CostUSDPerMonth; limit != nil {
		hundred := decimal.NewFromInt(100)
		all.CostUSDPerMonth.State = State{
			Soft:      u.Cost.Mul(hundred).GreaterThanOrEqual(limit.Mul(decimal.NewFromInt(soft))),
			Exhausted: u.Cost.Add(u.ReservedCost).GreaterThanOrEqual(*limit), FreesAt: clock.Ref(&month),
		}
	}
	if all.RequestsPerMinute.Limit != nil && u.Requests > 0 {
		full := at.Add(time.Duration(u.Requests * float64(u.RequestsEvery)))
		all.RequestsPerMinute.Used = int64(u.Requests + 1 - 1e-6) // what is begun is used
		all.RequestsPerMinute.State = State{
			Soft: u.Requests*100 >= float64(u.Burst*soft), Exhausted: u.Requests > float64(u.Burst-1), FreesAt: clock.Ref(&full),
		}
	}
	return all
}

func wide(n *int) *int64 {
	if n == nil {
		return nil
	}
	w := int64(*n)
	return &w
}
