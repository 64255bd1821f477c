package api

import (
	"context"

	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/quotas"
)

// QuotaRoutes is the family of what a tenant may use.
func QuotaRoutes(service *quotas.Service) []Route {
	h := quotaHandlers{service}
	return []Route{
		Handle("GET", "/v1/tenants/{tenant_id}/quotas", auth.TenantRead, Meta{
			ID: "getQuotas", Tag: "tenants", Summary: "Get a tenant's quotas and what is used of them",
			Description: "Both sources, what holds, and for each quota what is used and reserved now, whether its soft limit is passed, and when it frees.",
		}, h.get),
		Handle("PUT", "/v1/tenants/{tenant_id}/quotas", auth.TenantManage, Meta{
			ID: "putQuotas", Tag: "tenants", Summary: "Set a tenant's quotas",
			Description: "Replaces what the caller's source says: the platform's when a service token calls, else the tenant's own. The smaller of both holds, so a tenant can only narrow what the platform allows. What is absent or null has no limit of this source. A change holds within seconds.",
		}, h.put),
	}
}

type quotaHandlers struct{ service *quotas.Service }

func (h quotaHandlers) get(ctx context.Context, in *tenantPath) (quotas.Quotas, error) {
	return h.service.Find(ctx, in.TenantID)
}

type putQuotas struct {
	tenantPath
	ConcurrentRuns    *int              `json:"concurrent_runs,omitempty" validate:"omitempty,min=0,max=1000000" description:"Runs that are queued, running or waiting at a time." example:"10"`
	HeldRuns          *int              `json:"held_runs,omitempty" validate:"omitempty,min=0,max=1000000" description:"Runs that are accepted and held back at a time." example:"100"`
	RunsPerDay        *int              `json:"runs_per_day,omitempty" validate:"omitempty,min=0,max=1000000000" description:"Runs accepted a day (UTC)." example:"1000"`
	TokensPerMonth    *int64            `json:"tokens_per_month,omitempty" validate:"omitempty,min=0,max=1000000000000000" description:"Input and output tokens a month (UTC)." example:"5000000"`
	CostUSDPerMonth   *decimal.Decimal  `json:"cost_usd_per_month,omitempty" description:"Decimal US dollars a month (UTC), up to ten places." example:"250.00"`
	RequestsPerMinute *int              `json:"requests_per_minute,omitempty" validate:"omitempty,min=1,max=1000000" description:"Requests to the API in any minute; a fifteenth of them may come at once." example:"600"`
	Schedules         *int              `json:"schedules,omitempty" validate:"omitempty,min=0,max=1000000" description:"Schedules at a time." example:"20"`
	SoftPercent       *int              `json:"soft_percent,omitempty" validate:"omitempty,min=1,max=100" description:"Share of a limit, in percent, from which on warnings are given. 80, if neither source says another." example:"80"`
	OnExhausted       *quotas.Exhausted `json:"on_exhausted,omitempty" validate:"omitempty,oneof=stop pause" enum:"stop,pause" description:"What becomes of a running run whose next step a monthly quota has no room for: it ends, or waits. Here the tenant's word counts before the platform's; without either it ends."`
}

func (h quotaHandlers) put(ctx context.Context, in *putQuotas) (quotas.Quotas, error) {
	return h.service.Replace(ctx, in.TenantID, quotas.Limits{
		ConcurrentRuns: in.ConcurrentRuns, HeldRuns: in.HeldRuns, RunsPerDay: in.RunsPerDay, TokensPerMonth: in.TokensPerMonth,
		CostUSDPerMonth: in.CostUSDPerMonth, RequestsPerMinute: in.RequestsPerMinute, Schedules: in.Schedules,
		SoftPercent: in.SoftPercent, OnExhausted: in.OnExhausted,
	})
}
