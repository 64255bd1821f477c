package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/dashboards"
	"github.com/larirun/lari/internal/platform/scope"
)

// PanelRoutes is the family of what a web console can draw of a tenant.
func PanelRoutes() []Route {
	return []Route{
		Handle("GET", "/v1/analytics/panels", auth.AnalyticsRead, Meta{
			ID: "getPanels", Tag: tagMetrics, Summary: "Give the panels that can be drawn of the tenant",
			Description: "What the operators' Grafana draws of a tenant, for a web console: latency, errors, throughput, runs, usage, quotas. " +
				"Each query names up to two places where its figures are. `promql` is an expression for a Prometheus that scrapes this system; it selects the tenant's series alone and needs no change. " +
				"`lari` is a GET of this API and where in its answer the figures are: it needs no Prometheus. Its parameters are a suggestion: `from`, `to`, `last`, `bucket`, `time_zone`, `agent_id` and `workspace_id` of the analytics can be others. " +
				"Figures of `getQuantiles` are of a sliding window: ask again for the next point of a line.",
		}, panels),
	}
}

type getPanels struct {
	Window string `query:"window" validate:"oneof=1m 5m 15m 30m 1h 6h 24h" default:"5m" description:"The span over which the expressions take rates: four times the scrape interval or more, and about a step of the drawing."`
}

func panels(ctx context.Context, in *getPanels) (panelsView, error) {
	tenant := scope.Tenant(ctx)
	v := panelsView{TenantID: tenant, Window: in.Window}
	for _, p := range dashboards.Of(tenant, in.Window) {
		v.Panels = append(v.Panels, panelOf(p))
	}
	return v, nil
}

type panelsView struct {
	TenantID uuid.UUID   `json:"tenant_id" required:"true" description:"The tenant that the panels are of."`
	Window   string      `json:"window" required:"true" description:"The span over which the expressions take rates." example:"5m"`
	Panels   []panelView `json:"panels" required:"true" nullable:"false" description:"In the order in which they are shown."`
}

type panelView struct {
	ID          string           `json:"id" required:"true" description:"Stays the same in later versions." example:"runs_by_status"`
	Group       dashboards.Group `json:"group" required:"true" enum:"requests,runs,usage,quotas,connectors" description:"What it is about: a heading." example:"runs"`
	Title       textView         `json:"title" required:"true"`
	Description textView         `json:"description" required:"true"`
	Kind        dashboards.Kind  `json:"kind" required:"true" enum:"timeseries,stat,table" description:"A line, a number of now, or a column for each query. A table has a row for each set of labels." example:"timeseries"`
	Unit        dashboards.Unit  `json:"unit" required:"true" enum:"seconds,share,requests_per_second,runs_per_hour,tokens_per_hour,tokens,usd_per_hour,usd,count" description:"Of the queries, where they name no other. A share is from 0 to 1." example:"runs_per_hour"`
	Stacked     bool             `json:"stacked" required:"true" description:"The lines add up to a whole." example:"true"`
	Thresholds  []thresholdView  `json:"thresholds" required:"true" nullable:"false" description:"From which values on it looks bad, the mildest first; empty where no value is bad in itself."`
	Queries     []queryView      `json:"queries" required:"true" nullable:"false"`
}

type textView struct {
	EN string `json:"en" required:"true" description:"English." example:"Runs by status"`
	ID string `json:"id" required:"true" description:"Bahasa Indonesia." example:"Run menurut status"`
}

type thresholdView struct {
	Level dashboards.Level `json:"level" required:"true" enum:"warning,critical"`
	Value float64          `json:"value" required:"true" description:"In the panel's unit; reached from below." example:"100"`
}

type queryView struct {
	ID     string          `json:"id" required:"true" description:"Unique in the panel." example:"completed"`
	Legend string          `json:"legend" required:"true" description:"Name of the line; {{label}} stands for the value of a label, and there is a line for each." example:"completed"`
	Unit   dashboards.Unit `json:"unit" required:"true" enum:"seconds,share,requests_per_second,runs_per_hour,tokens_per_hour,tokens,usd_per_hour,usd,count" description:"Of its numbers." example:"runs_per_hour"`
	PromQL *string         `json:"promql" required:"true" description:"For Prometheus; null where no metric of a tenant tells it." example:"3600 * sum (rate(lari_runs_finished_total{tenant_id=\"0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f\", status=\"completed\"}[5m]))"`
	Lari   *sourceView     `json:"lari" required:"true" description:"Where this API answers it; null where it does not."`
}

type sourceView struct {
	Operation  string              `json:"operation" required:"true" description:"Operation id in this description." example:"getRunCounts"`
	Path       string              `json:"path" required:"true" description:"To GET." example:"/v1/analytics/runs"`
	Permission auth.Permission     `json:"permission" required:"true" description:"What it needs; the caller may lack it." example:"analytics:read"`
	Parameters map[string][]string `json:"parameters" required:"true" nullable:"false" description:"Of the query, by name; those with several values are repeated." example:"{\"bucket\": [\"hour\"], \"last\": [\"24h\"]}"`
	Rows       *string             `json:"rows" required:"true" description:"JSON Pointer to rows: items of an array or members of an object. Null: there is one figure, and value begins at the answer." example:"/rows"`
	RowKey     *string             `json:"row_key" required:"true" description:"Label whose value is the name of the object's member; null: rows are an array's."`
	Time       *string             `json:"time" required:"true" description:"JSON Pointer within a row to the time of its figure; null: it is of now." example:"/start"`
	Value      *string             `json:"value" required:"true" description:"JSON Pointer to the figure: a number, a decimal as a string, or null where there is none. Null: each row counts as one." example:"/completed"`
	Labels     map[string]string   `json:"labels" required:"true" nullable:"false" description:"JSON Pointers within a row to the values of labels." example:"{}"`
}

func panelOf(p dashboards.Panel) panelView {
	v := panelView{
		ID: p.ID, Group: p.Group, Kind: p.Kind, Unit: p.Unit, Stacked: p.Stacked, Title: textView{p.Title.English, p.Title.Indonesian},
		Description: textView{p.Description.English, p.Description.Indonesian}, Thresholds: []thresholdView{}, Queries: []queryView{},
	}
	for _, t := range p.Thresholds {
		v.Thresholds = append(v.Thresholds, thresholdView{Level: t.Level, Value: t.Value})
	}
	for _, q := range p.Queries {
		v.Queries = append(v.Queries, queryView{ID: q.ID, Legend: q.Legend, Unit: q.UnitIn(p), PromQL: unlessEmpty(q.PromQL), Lari: sourceOf(q.Source)})
	}
	return v
}

func sourceOf(s *dashboards.Source) *sourceView {
	if s == nil {
		return nil
	}
	v := &sourceView{
		Operation: s.Operation, Path: s.Path, Permission: s.Permission, Parameters: s.Parameters,
		Rows: unlessEmpty(s.Rows), RowKey: unlessEmpty(s.Key), Time: unlessEmpty(s.Time), Value: unlessEmpty(s.Value), Labels: map[string]string{},
	}
	for name, pointer := range s.Labels {
		v.Labels[name] = pointer
	}
	return v
}

func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
