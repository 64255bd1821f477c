package analytics

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Span is what an answer covers: whole buckets, which may be more than was asked for.
type Span struct {
	From     clock.Time  `json:"from" required:"true" description:"Beginning of the first bucket."`
	To       clock.Time  `json:"to" required:"true" description:"End of the last bucket."`
	Bucket   Bucket      `json:"bucket" required:"true" enum:"hour,day,month,total"`
	TimeZone string      `json:"time_zone" required:"true" example:"UTC"`
	GroupBy  []Dimension `json:"group_by" required:"true" nullable:"false"`
}

// Cell is what a row is of. What is not grouped by is null, as is a workspace or model that there was none of.
type Cell struct {
	Start       clock.Time `json:"start" required:"true" description:"Beginning of the bucket."`
	End         clock.Time `json:"end" required:"true" description:"End of the bucket: the beginning of the next."`
	AgentID     *uuid.UUID `json:"agent_id" required:"true"`
	WorkspaceID *uuid.UUID `json:"workspace_id" required:"true"`
	Model       *string    `json:"model" required:"true"`
}

// UsageFigures are sums over steps.
type UsageFigures struct {
	Steps          int64           `json:"steps" required:"true" description:"Steps that were recorded whole."`
	EstimatedSteps int64           `json:"estimated_steps" required:"true" description:"Those of them whose tokens the provider did not report."`
	InputTokens    int64           `json:"input_tokens" required:"true"`
	OutputTokens   int64           `json:"output_tokens" required:"true"`
	CostUSD        decimal.Decimal `json:"cost_usd" required:"true" example:"0.25"`
}

func (f *UsageFigures) add(o UsageFigures) {
	f.Steps, f.EstimatedSteps = f.Steps+o.Steps, f.EstimatedSteps+o.EstimatedSteps
	f.InputTokens, f.OutputTokens = f.InputTokens+o.InputTokens, f.OutputTokens+o.OutputTokens
	f.CostUSD = f.CostUSD.Add(o.CostUSD)
}

// UsageRow is the usage of one bucket and group.
type UsageRow struct {
	Cell
	UsageFigures
}

// Usage is what was used, by the time of each step.
type Usage struct {
	Span
	Totals UsageFigures `json:"totals" required:"true" description:"Of all rows together."`
	Rows   []UsageRow   `json:"rows" required:"true" nullable:"false" description:"By bucket, then by group. A bucket in which nothing happened has rows of zeros for each group that there is."`
}

// ErrorCount is how many runs failed with a code.
type ErrorCount struct {
	Code  string `json:"code" required:"true" example:"model_error"`
	Count int64  `json:"count" required:"true"`
}

// RunFigures are counts of runs. Each is counted by the time of what is counted: a run that ends a day after it
// was created is in two rows.
type RunFigures struct {
	Created   int64        `json:"created" required:"true"`
	Started   int64        `json:"started" required:"true"`
	Finished  int64        `json:"finished" required:"true" description:"All that ended: the four that follow."`
	Completed int64        `json:"completed" required:"true"`
	Failed    int64        `json:"failed" required:"true"`
	Cancelled int64        `json:"cancelled" required:"true"`
	TimedOut  int64        `json:"timed_out" required:"true"`
	ErrorRate *float64     `json:"error_rate" required:"true" description:"Share of the finished runs that failed or timed out; null: none finished."`
	Errors    []ErrorCount `json:"errors" required:"true" nullable:"false" description:"Why they failed, the most frequent first."`
	Duration  Timing       `json:"duration" required:"true" description:"From start to end, by the time of the end."`
	QueueWait Timing       `json:"queue_wait" required:"true" description:"From creation to start, holds included, by the time of the start."`
}

// RunRow is what happened to runs in one bucket and group.
type RunRow struct {
	Cell
	RunFigures
}

// Runs is what happened to runs.
type Runs struct {
	Span
	Totals RunFigures `json:"totals" required:"true" description:"Of all rows together."`
	Rows   []RunRow   `json:"rows" required:"true" nullable:"false" description:"By bucket, then by group. A bucket in which nothing happened has rows of zeros for each group that there is."`
}

// LatencyFigures are how long runs took.
type LatencyFigures struct {
	Duration  Timing `json:"duration" required:"true" description:"From start to end, by the time of the end."`
	QueueWait Timing `json:"queue_wait" required:"true" description:"From creation to start, holds included, by the time of the start."`
}

// LatencyRow is how long runs took in one bucket and group.
type LatencyRow struct {
	Cell
	LatencyFigures
}

// Latency is how long runs took.
type Latency struct {
	Span
	Totals LatencyFigures `json:"totals" required:"true" description:"Of all rows together."`
	Rows   []LatencyRow   `json:"rows" required:"true" nullable:"false" description:"By bucket, then by group. A bucket in which nothing happened has rows of zeros for each group that there is."`
}

// TenantUsageRow is a tenant's usage in one bucket and group.
type TenantUsageRow struct {
	TenantID *uuid.UUID `json:"tenant_id" required:"true"`
	Cell
	UsageFigures
}

// PlatformUsage is what all tenants used.
type PlatformUsage struct {
	Span
	Totals UsageFigures     `json:"totals" required:"true" description:"Of all rows together."`
	Rows   []TenantUsageRow `json:"rows" required:"true" nullable:"false" description:"By bucket, then by group."`
}

// group names what figures are of; what is not grouped by is zero.
type group struct {
	tenant, agent, workspace uuid.UUID
	model                    string
}

func (g group) compare(o group) int {
	return cmp.Or(bytes.Compare(g.tenant[:], o.tenant[:]), bytes.Compare(g.agent[:], o.agent[:]),
		bytes.Compare(g.workspace[:], o.workspace[:]), strings.Compare(g.model, o.model))
}

// place is where figures belong.
type place struct {
	bucket int // from 0
	group  group
}

// grid gives the row of each bucket and group, in order, also where nothing was found.
func grid[F, R any](p plan, found map[place]F, row func(Cell, group, F) R) ([]R, error) {
	seen := map[group]bool{}
	var groups []group
	if len(p.GroupBy) == 0 {
		seen[group{}], groups = true, []group{{}}
	}
	for at := range found {
		if !seen[at.group] {
			seen[at.group], groups = true, append(groups, at.group)
		}
	}
	if len(groups)*p.buckets() > MaxRows {
		return nil, tooMany()
	}
	slices.SortFunc(groups, group.compare)
	rows := make([]R, 0, len(groups)*p.buckets())
	for b := range p.buckets() {
		for _, g := range groups {
			rows = append(rows, row(p.cell(b, g), g, found[place{b, g}]))
		}
	}
	return rows, nil
}

func tooMany() error {
	return fault.InvalidField("group_by", "max", "makes more than %d rows (buckets times groups): ask for a shorter span, a longer bucket or fewer groups, or name an agent or workspace", MaxRows)
}

func (p plan) cell(bucket int, g group) Cell {
	c := Cell{Start: clock.At(p.edges[bucket]), End: clock.At(p.edges[bucket+1]), AgentID: known(g.agent), WorkspaceID: known(g.workspace)}
	if g.model != "" {
		c.Model = &g.model
	}
	return c
}

func known(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
