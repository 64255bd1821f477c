package api

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/analytics"
	"github.com/larirun/lari/internal/platform/auth"
)

const (
	tagAnalytics = "analytics"
	// analyticsLimit is for the answer over years and the rebuild of months.
	analyticsLimit = 2 * time.Minute
	aboutSpans     = "The span is widened to whole buckets, and buckets in which nothing happened are there too. Without `bucket` it is `hour` for a span of up to two days, " +
		"`day` up to a hundred and `month` beyond; without `from` and `last` the span is the last 24 hours by hour, 30 days by day or in total, a year by month. " +
		"At most 10,000 rows (buckets times groups), else 422. `format=csv` gives the same rows as CSV; a cell that a spreadsheet could take for a formula has an apostrophe put before it. "
)

// AnalyticsRoutes is the family of sums over time.
func AnalyticsRoutes(service *analytics.Service) []Route {
	h := analyticsHandlers{service}
	return append([]Route{
		Handle("GET", "/v1/analytics/usage", auth.AnalyticsRead, Meta{
			ID: "getUsage", Tag: tagAnalytics, Summary: "Sum up steps, tokens and cost", Produces: mediaCSV,
			Description: aboutSpans + "What a run used beyond its whole steps, because it was stopped half-way, is counted with its end.",
		}, h.usage),
		Handle("GET", "/v1/analytics/runs", auth.AnalyticsRead, Meta{
			ID: "getRunCounts", Tag: tagAnalytics, Summary: "Count runs, how they ended and why they failed", Produces: mediaCSV,
			Description: aboutSpans + "In CSV `errors` is `code:count` for each code, with semicolons between them.",
		}, h.runs),
		Handle("GET", "/v1/analytics/latency", auth.AnalyticsRead, Meta{
			ID: "getLatency", Tag: tagAnalytics, Summary: "Give percentiles of how long runs waited and ran", Produces: mediaCSV,
			Description: aboutSpans + "Percentiles are estimated from buckets that double in length; averages and maxima are exact.",
		}, h.latency),
		Handle("POST", "/v1/analytics/rebuild", auth.AnalyticsManage, Meta{
			ID: "rebuildAnalytics", Tag: tagAnalytics, Summary: "Make the sums of a span anew", Timeout: analyticsLimit,
			Description: "Forgets the sums of a span of at most 92 days and makes them anew from the runs that there are; runs that were removed are counted no more. " +
				"Answers stay whole meanwhile. It can be repeated at any time.",
		}, h.rebuild),
		Handle("GET", "/v1/platform/usage", auth.PlatformManage, Meta{
			ID: "getPlatformUsage", Tag: tagAnalytics, Summary: "Sum up steps, tokens and cost across tenants", Produces: mediaCSV, Timeout: analyticsLimit,
			Description: "As getUsage, but of every tenant and, without `bucket`, in one sum over the last 30 days.",
		}, h.platformUsage),
	}, h.reportRoutes()...)
}

type analyticsHandlers struct {
	service *analytics.Service
}

type analyticsSpan struct {
	From     *time.Time       `query:"from" description:"Beginning of the span."`
	To       *time.Time       `query:"to" description:"End of the span; now, if absent."`
	Last     string           `query:"last" validate:"max=8" description:"Length of the span in place of from: hours, days or months before its end." example:"30d"`
	Bucket   analytics.Bucket `query:"bucket" validate:"omitempty,oneof=hour day month total" description:"Length of a bucket."`
	TimeZone string           `query:"time_zone" validate:"max=64" description:"IANA name of the zone that days and months are of; UTC, if absent." example:"Asia/Jakarta"`
}

type analyticsFilter struct {
	AgentID     *uuid.UUID `query:"agent_id" description:"Only of this agent."`
	WorkspaceID *uuid.UUID `query:"workspace_id" description:"Only of this workspace."`
}

type analyticsFormat struct {
	Format string `query:"format" validate:"oneof=json csv" default:"json" description:"Form of the answer."`
}

func (s analyticsSpan) query(f analyticsFilter, groupBy []analytics.Dimension) analytics.Query {
	return analytics.Query{
		From: s.From, To: s.To, Last: s.Last, Bucket: s.Bucket, TimeZone: s.TimeZone, GroupBy: groupBy, AgentID: f.AgentID, WorkspaceID: f.WorkspaceID,
	}
}

type getUsage struct {
	analyticsSpan
	analyticsFilter
	GroupBy []analytics.Dimension `query:"group_by" validate:"max=3,unique,dive,oneof=agent_id workspace_id model" description:"A row for each of these; may be repeated."`
	Model   string                `query:"model" validate:"max=200" description:"Only of this model."`
	analyticsFormat
}

func (h analyticsHandlers) usage(ctx context.Context, in *getUsage) (usageAnswer, error) {
	q := in.query(in.analyticsFilter, in.GroupBy)
	q.Model = in.Model
	u, err := h.service.Usage(ctx, q)
	if err != nil {
		return usageAnswer{}, err
	}
	a := usageAnswer{Usage: u}
	return a, a.as(in.Format, "usage", func() table { return usageTable(u) })
}

type getRunCounts struct {
	analyticsSpan
	analyticsFilter
	GroupBy []analytics.Dimension `query:"group_by" validate:"max=2,unique,dive,oneof=agent_id workspace_id" description:"A row for each of these; may be repeated."`
	analyticsFormat
}

func (h analyticsHandlers) runs(ctx context.Context, in *getRunCounts) (runsAnswer, error) {
	r, err := h.service.Runs(ctx, in.query(in.analyticsFilter, in.GroupBy))
	if err != nil {
		return runsAnswer{}, err
	}
	a := runsAnswer{Runs: r}
	return a, a.as(in.Format, "runs", func() table { return runsTable(r) })
}

type getLatency struct {
	analyticsSpan
	analyticsFilter
	GroupBy []analytics.Dimension `query:"group_by" validate:"max=2,unique,dive,oneof=agent_id workspace_id" description:"A row for each of these; may be repeated."`
	analyticsFormat
}

func (h analyticsHandlers) latency(ctx context.Context, in *getLatency) (latencyAnswer, error) {
	l, err := h.service.Latency(ctx, in.query(in.analyticsFilter, in.GroupBy))
	if err != nil {
		return latencyAnswer{}, err
	}
	a := latencyAnswer{Latency: l}
	return a, a.as(in.Format, "latency", func() table { return latencyTable(l) })
}

type rebuildAnalytics struct {
	From *time.Time `json:"from" validate:"required" description:"Beginning of the span, widened to whole days of UTC."`
	To   *time.Time `json:"to" validate:"required" description:"End of the span, widened to whole days of UTC."`
}

func (h analyticsHandlers) rebuild(ctx context.Context, in *rebuildAnalytics) (analytics.Rebuild, error) {
	return h.service.Rebuild(ctx, *in.From, *in.To)
}

type getPlatformUsage struct {
	analyticsSpan
	GroupBy  []analytics.Dimension `query:"group_by" validate:"max=4,unique,dive,oneof=tenant_id agent_id workspace_id model" description:"A row for each of these; may be repeated."`
	TenantID *uuid.UUID            `query:"tenant_id" description:"Only of this tenant."`
	Model    string                `query:"model" validate:"max=200" description:"Only of this model."`
	analyticsFormat
}

func (h analyticsHandlers) platformUsage(ctx context.Context, in *getPlatformUsage) (platformUsageAnswer, error) {
	q := in.query(analyticsFilter{}, in.GroupBy)
	q.Model = in.Model
	u, err := h.service.PlatformUsage(ctx, analytics.PlatformQuery{Query: q, TenantID: in.TenantID})
	if err != nil {
		return platformUsageAnswer{}, err
	}
	a := platformUsageAnswer{PlatformUsage: u}
	return a, a.as(in.Format, "platform-usage", func() table { return platformUsageTable(u) })
}
