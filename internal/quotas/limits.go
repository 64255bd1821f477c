package quotas

import (
	"cmp"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Names of the quotas, as refusals and warnings give them.
const (
	ConcurrentRuns    = "concurrent_runs"
	HeldRuns          = "held_runs"
	RunsPerDay        = "runs_per_day"
	TokensPerMonth    = "tokens_per_month"
	CostUSDPerMonth   = "cost_usd_per_month"
	RequestsPerMinute = "requests_per_minute"
	Streams           = "streams"
)

// Exhausted is what becomes of a running run when a monthly quota has no room for its next step.
type Exhausted string

// What becomes of a run.
const (
	Stop  Exhausted = "stop"  // it ends with quota_exceeded
	Pause Exhausted = "pause" // it waits until there is room
)

// defaultSoft is the share of a limit, in percent, from which on warnings are given.
const defaultSoft = 80

// Limits are what a tenant may use. What is nil has no limit, or no word of this source.
type Limits struct {
	ConcurrentRuns    *int             `json:"concurrent_runs" required:"true" description:"Runs that are queued, running or waiting at a time."`
	HeldRuns          *int             `json:"held_runs" required:"true" description:"Runs that are accepted and held back at a time."`
	RunsPerDay        *int             `json:"runs_per_day" required:"true" description:"Runs accepted a day (UTC)."`
	TokensPerMonth    *int64           `json:"tokens_per_month" required:"true" description:"Input and output tokens a month (UTC)."`
	CostUSDPerMonth   *decimal.Decimal `json:"cost_usd_per_month" required:"true" description:"Decimal US dollars a month (UTC)."`
	RequestsPerMinute *int             `json:"requests_per_minute" required:"true" description:"Requests to the API in any minute."`
	Schedules         *int             `json:"schedules" required:"true" description:"Schedules at a time."`
	Streams           *int             `json:"streams" required:"true" description:"Streams and requests that wait for a run, at a time, in each API process."`
	SoftPercent       *int             `json:"soft_percent" required:"true" description:"Share of a limit, in percent, from which on warnings are given."`
	OnExhausted       *Exhausted       `json:"on_exhausted" required:"true" enum:"stop,pause" description:"What becomes of a running run whose next step a monthly quota has no room for."`
}

// The most that can be asked for: beyond it a number is a mistake, and sums would not fit.
const (
	maxTokens  = 1_000_000_000_000_000
	maxDollars = 1_000_000_000
	costPlaces = 10
)

// check refuses limits that cannot be kept.
func (l Limits) check() error {
	for _, n := range []struct {
		name        string
		value       *int
		least, most int
	}{
		{ConcurrentRuns, l.ConcurrentRuns, 0, 1_000_000},
		{HeldRuns, l.HeldRuns, 0, 1_000_000},
		{RunsPerDay, l.RunsPerDay, 0, 1_000_000_000},
		{RequestsPerMinute, l.RequestsPerMinute, 1, 1_000_000},
		{"schedules", l.Schedules, 0, 1_000_000},
		{Streams, l.Streams, 0, 1_000_000},
		{"soft_percent", l.SoftPercent, 1, 100},
	} {
		if n.value != nil && (*n.value < n.least || *n.value > n.most) {
			return fault.InvalidField(n.name, "range", "must be between %d and %d", n.least, n.most)
		}
	}
	switch {
	case l.TokensPerMonth != nil && (*l.TokensPerMonth < 0 || *l.TokensPerMonth > maxTokens):
		return fault.InvalidField(TokensPerMonth, "range", "must be between 0 and %d", int64(maxTokens))
	case l.CostUSDPerMonth != nil && (l.CostUSDPerMonth.IsNegative() || l.CostUSDPerMonth.GreaterThan(decimal.NewFromInt(maxDollars)) || l.CostUSDPerMonth.Exponent() < -costPlaces):
		return fault.InvalidField(CostUSDPerMonth, "decimal", "must be a decimal number of US dollars between 0 and %d, with at most %d places", maxDollars, costPlaces)
	case l.OnExhausted != nil && *l.OnExhausted != Stop && *l.OnExhausted != Pause:
		return fault.InvalidField("on_exhausted", "oneof", "must be one of stop, pause")
	}
	return nil
}

// effective returns what holds for a tenant with these two rows, as lari.quotas_of does for the database: where the
// platform has no word the default holds, and the tenant narrows either.
func effective(byDefault, platform, own Limits) Limits {
	soft, exhausted := defaultSoft, Stop
	platform.ConcurrentRuns = cmp.Or(platform.ConcurrentRuns, byDefault.ConcurrentRuns)
	platform.HeldRuns = cmp.Or(platform.HeldRuns, byDefault.HeldRuns)
	platform.RunsPerDay = cmp.Or(platform.RunsPerDay, byDefault.RunsPerDay)
	platform.RequestsPerMinute = cmp.Or(platform.RequestsPerMinute, byDefault.RequestsPerMinute)
	platform.Schedules = cmp.Or(platform.Schedules, byDefault.Schedules)
	platform.Streams = cmp.Or(platform.Streams, byDefault.Streams)
	l := Limits{
		ConcurrentRuns: least(platform.ConcurrentRuns, own.ConcurrentRuns), HeldRuns: least(platform.HeldRuns, own.HeldRuns),
		RunsPerDay: least(platform.RunsPerDay, own.RunsPerDay), TokensPerMonth: least(platform.TokensPerMonth, own.TokensPerMonth),
		CostUSDPerMonth: platform.CostUSDPerMonth, RequestsPerMinute: least(platform.RequestsPerMinute, own.RequestsPerMinute),
		Schedules: least(platform.Schedules, own.Schedules), Streams: least(platform.Streams, own.Streams),
		SoftPercent: least(platform.SoftPercent, own.SoftPercent),
		OnExhausted: cmp.Or(own.OnExhausted, platform.OnExhausted),
	}
	if own.CostUSDPerMonth != nil && (l.CostUSDPerMonth == nil || own.CostUSDPerMonth.LessThan(*l.CostUSDPerMonth)) {
		l.CostUSDPerMonth = own.CostUSDPerMonth
	}
	l.SoftPercent, l.OnExhausted = cmp.Or(l.SoftPercent, &soft), cmp.Or(l.OnExhausted, &exhausted)
	return l
}

func least[T int | int64](a, b *T) *T {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}

// Row is what one source says.
type Row struct {
	Limits
	UpdatedBy string     `json:"updated_by" required:"true"`
	UpdatedAt clock.Time `json:"updated_at" required:"true"`
}

// limits gives those of a row that may not be there.
func (r *Row) limits() Limits {
	if r == nil {
		return Limits{}
	}
	return r.Limits
}

// Quotas are a tenant's limits with what is used of them.
type Quotas struct {
	TenantID  uuid.UUID `json:"tenant_id" required:"true"`
	Platform  *Row      `json:"platform" required:"true" description:"What the platform allows; null: it says nothing."`
	Tenant    *Row      `json:"tenant" required:"true" description:"What the tenant allows itself; null: it says nothing."`
	Default   Limits    `json:"default" required:"true" description:"What holds where the platform has no word of this tenant."`
	Effective Limits    `json:"effective" required:"true" description:"What holds: the smaller of the platform's word, or the default, and the tenant's."`
	Usage     Usage     `json:"usage" required:"true"`
}
