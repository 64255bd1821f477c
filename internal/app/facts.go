package app

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/quotas"
)

const (
	factsEvery = 15 * time.Second
	// factsTenants is how many tenants' quotas are looked up each time; with more that are active they take
	// turns.
	factsTenants = 200
	quotaLimit   = 5 * time.Second
)

// showFacts keeps the gauges of what only the database knows true until ctx ends.
func (a *App) showFacts(ctx context.Context) {
	ticker := time.NewTicker(factsEvery)
	defer ticker.Stop()
	for turn := 0; ; {
		if err := a.tellBacklogs(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "the gauges of held runs and deliveries were not renewed", "error", err)
		}
		var err error
		if turn, err = a.tellQuotas(ctx, turn); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "the gauges of quotas were not renewed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (a *App) tellBacklogs(ctx context.Context) error {
	held, err := a.Runs.CountHeld(ctx)
	if err != nil {
		return err
	}
	byReason := make(map[string]int64, len(held))
	for reason, n := range held {
		byReason[string(reason)] = n
	}
	a.Metrics.Facts.Held(byReason)
	if err := a.tellQueues(ctx); err != nil {
		return err
	}
	backlog, err := a.Deliveries.FindBacklog(ctx)
	if err != nil {
		return err
	}
	a.Metrics.Facts.Deliveries(telemetry.DeliveryBacklog(backlog))
	return nil
}

// tellQuotas looks up the quotas of active tenants, beginning where it was the last time.
func (a *App) tellQuotas(ctx context.Context, from int) (next int, err error) {
	active := a.Metrics.ActiveTenants()
	for n := range min(len(active), factsTenants) {
		next = (from + n) % len(active)
		tenant, err := uuid.Parse(active[next])
		if err != nil {
			continue
		}
		if err := a.tellQuotasOf(ctx, tenant); err != nil && !fault.Is(err, fault.NotFound) { // it was deleted
			return next, err
		}
	}
	return next + 1, nil
}

func (a *App) tellQuotasOf(ctx context.Context, tenant uuid.UUID) error {
	ctx, stop := context.WithTimeout(scope.With(ctx, scope.Scope{Tenant: tenant, Actor: "system"}), quotaLimit)
	defer stop()
	q, err := a.Quotas.Find(ctx, tenant)
	if err != nil {
		return err
	}
	u := q.Usage
	all := []telemetry.Quota{{Name: quotas.CostUSDPerMonth, Used: u.CostUSDPerMonth.Used.InexactFloat64(), Limit: dollars(u.CostUSDPerMonth.Limit)}}
	for name, c := range map[string]quotas.Count{
		quotas.ConcurrentRuns: u.ConcurrentRuns, quotas.HeldRuns: u.HeldRuns, quotas.RunsPerDay: u.RunsPerDay,
		quotas.TokensPerMonth: u.TokensPerMonth, quotas.RequestsPerMinute: u.RequestsPerMinute,
	} {
		one := telemetry.Quota{Name: name, Used: float64(c.Used)}
		if c.Limit != nil {
			limit := float64(*c.Limit)
			one.Limit = &limit
		}
		all = append(all, one)
	}
	a.Metrics.Facts.Quotas(tenant.String(), all)
	return nil
}

func dollars(d *decimal.Decimal) *float64 {
	if d == nil {
		return nil
	}
	f := d.InexactFloat64()
	return &f
}
