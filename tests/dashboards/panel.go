package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/larirun/lari/internal/platform/dashboards"
)

// Sizes in the units of Grafana's grid, which is 24 wide.
const (
	statWidth, statHeight   = 4, 4
	plotWidth, plotHeight   = 12, 8
	tableWidth, tableHeight = 12, 9
)

func panelOf(p dashboards.Panel, id uint32) (cog.Builder[dashboard.Panel], error) {
	unit, err := unitOf(p.Unit)
	if err != nil {
		return nil, err
	}
	switch p.Kind {
	case dashboards.Timeseries:
		return timeseriesOf(p, id, unit)
	case dashboards.Stat:
		return statOf(p, id, unit), nil
	case dashboards.Table:
		return tableOf(p, id, unit)
	}
	return nil, fmt.Errorf("the kind %q is not known", p.Kind)
}

func width(p dashboards.Panel, otherwise uint32) uint32 {
	if p.Width > 0 {
		return uint32(p.Width) //nolint:gosec // G115: up to 24
	}
	return otherwise
}

func timeseriesOf(p dashboards.Panel, id uint32, unit string) (*timeseries.PanelBuilder, error) {
	b := timeseries.NewPanelBuilder().Id(id).Title(p.Title.English).Description(p.Description.English).
		Span(width(p, plotWidth)).Height(plotHeight).Datasource(source()).Unit(unit).Min(0).
		LineWidth(1).FillOpacity(fill(p)).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if p.Stacked {
		b.Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
	}
	if len(p.Thresholds) > 0 {
		b.Thresholds(thresholds(p)).ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	for _, l := range p.Links {
		b.DataLinks([]cog.Builder[dashboard.DashboardLink]{dataLink(l, p.Kind)})
	}
	for i, q := range p.Queries {
		b.WithTarget(target(p, q, i))
		if q.Unit == "" {
			continue
		}
		unit, err := unitOf(q.Unit)
		if err != nil {
			return nil, err
		}
		b.OverrideByQuery(refID(i), []dashboard.DynamicConfigValue{{Id: "unit", Value: unit}, {Id: "custom.axisPlacement", Value: "right"}})
	}
	return b, nil
}

func fill(p dashboards.Panel) float64 {
	if p.Stacked {
		return 25
	}
	return 0
}

func statOf(p dashboards.Panel, id uint32, unit string) *stat.PanelBuilder {
	b := stat.NewPanelBuilder().Id(id).Title(p.Title.English).Description(p.Description.English).
		Span(width(p, statWidth)).Height(statHeight).Datasource(source()).Unit(unit).NoValue("–").
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		GraphMode(common.BigValueGraphModeArea).ColorMode(common.BigValueColorModeValue).Thresholds(thresholds(p))
	for i, q := range p.Queries {
		b.WithTarget(target(p, q, i))
	}
	return b
}

func tableOf(p dashboards.Panel, id uint32, unit string) (*table.PanelBuilder, error) {
	b := table.NewPanelBuilder().Id(id).Title(p.Title.English).Description(p.Description.English).
		Span(width(p, tableWidth)).Height(tableHeight).Datasource(source()).Unit(unit).Filterable(true)
	if len(p.Thresholds) > 0 {
		b.Thresholds(thresholds(p))
	}
	names := map[string]any{}
	for i, q := range p.Queries {
		b.WithTarget(target(p, q, i))
		names["Value #"+refID(i)] = q.Legend
		if len(p.Queries) == 1 {
			names["Value"] = q.Legend
		}
		if q.Unit == "" {
			continue
		}
		unit, err := unitOf(q.Unit)
		if err != nil {
			return nil, err
		}
		b.OverrideByName(q.Legend, []dashboard.DynamicConfigValue{{Id: "unit", Value: unit}})
	}
	byColumn, columns := map[string][]any{}, []string{}
	for _, l := range p.Links {
		column := column(l)
		if byColumn[column] == nil {
			columns = append(columns, column)
		}
		byColumn[column] = append(byColumn[column], map[string]any{"title": linkTitle(l), "url": linkURL(l, p.Kind), "targetBlank": l != dashboards.ToTenant})
	}
	for _, column := range columns {
		b.OverrideByName(column, []dashboard.DynamicConfigValue{{Id: "links", Value: byColumn[column]}})
	}
	b.WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}})
	b.WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{"excludeByName": map[string]any{"Time": true}, "renameByName": names}})
	return b, nil
}

// refID names the queries of a panel A, B, C.
func refID(i int) string { return string(rune('A' + i)) }

func target(p dashboards.Panel, q dashboards.Query, i int) *prometheus.DataqueryBuilder {
	t := prometheus.NewDataqueryBuilder().Datasource(source()).RefId(refID(i)).Expr(q.PromQL).LegendFormat(q.Legend).EditorMode(prometheus.QueryEditorModeCode)
	switch {
	case p.Kind == dashboards.Table:
		return t.Instant().Format(prometheus.PromQueryFormatTable)
	case q.Instant:
		return t.Instant()
	case p.Kind == dashboards.Timeseries && exemplary.MatchString(q.PromQL):
		return t.Range().Exemplar(true)
	}
	return t.Range()
}

// exemplary finds the buckets of the histograms whose observations name a run or a trace.
var exemplary = regexp.MustCompile(`\blari_(http|run|model|tool|connector|knowledge|schedule)_\w+_bucket\b`)

func thresholds(p dashboards.Panel) *dashboard.ThresholdsConfigBuilder {
	steps := []dashboard.Threshold{{Color: "green"}}
	if len(p.Thresholds) == 0 {
		steps[0].Color = "text"
	}
	for _, t := range p.Thresholds {
		value := t.Value
		if t.Below { // what is below is bad, what is reached is good
			steps[0].Color = colour(t.Level)
			steps = append(steps, dashboard.Threshold{Value: &value, Color: "green"})
			continue
		}
		steps = append(steps, dashboard.Threshold{Value: &value, Color: colour(t.Level)})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

func colour(l dashboards.Level) string {
	if l == dashboards.Critical {
		return "red"
	}
	return "orange"
}

func unitOf(u dashboards.Unit) (string, error) {
	unit, found := map[dashboards.Unit]string{
		dashboards.Seconds: units.Seconds, dashboards.Share: units.PercentUnit, dashboards.RequestsPerSecond: units.RequestsPerSecond,
		dashboards.EventsPerSecond: units.EventsPerSecond, dashboards.PerSecond: units.OpsPerSecond, dashboards.Bytes: units.BytesIEC,
		dashboards.USD: units.Dollars, dashboards.Count: units.Short, dashboards.Tokens: units.Short,
		// Grafana has no units for these: a suffix of its own says it.
		dashboards.RunsPerHour: "suffix: /h", dashboards.TokensPerHour: "suffix: tokens/h", dashboards.USDPerHour: "suffix: USD/h",
	}[u]
	if !found {
		return "", fmt.Errorf("the unit %q is not known", u)
	}
	return unit, nil
}

// column is the label that carries a link in a table.
func column(l dashboards.Link) string {
	if l == dashboards.ToTenant {
		return "tenant_id"
	}
	return "run_id"
}

func linkTitle(l dashboards.Link) string {
	switch l {
	case dashboards.ToRun:
		return "Run"
	case dashboards.ToWorkflow:
		return "Workflow in Temporal"
	case dashboards.ToTenant:
	}
	return "Tenant"
}

// linkURL gives the address of a link; labels are columns in a table and belong to the line elsewhere. Temporal's UI
// leads from a workflow's id to its last execution.
func linkURL(l dashboards.Link, k dashboards.Kind) string {
	label := func(name string) string {
		if k == dashboards.Table {
			return "${__data.fields." + name + "}"
		}
		return "${__field.labels." + name + "}"
	}
	switch l {
	case dashboards.ToRun:
		return "${console:raw}/runs/" + label("run_id")
	case dashboards.ToWorkflow:
		return "${temporal_ui:raw}/namespaces/${temporal_namespace}/workflows/" + label("tenant_id") + "%2Frun%2F" + label("run_id")
	case dashboards.ToTenant:
	}
	return strings.Join([]string{"/d/lari-tenant?var-tenant=" + label("tenant_id"), "${datasource:queryparam}", "${__url_time_range}"}, "&")
}

func dataLink(l dashboards.Link, k dashboards.Kind) *dashboard.DashboardLinkBuilder {
	return dashboard.NewDashboardLinkBuilder(linkTitle(l)).Type(dashboard.DashboardLinkTypeLink).Url(linkURL(l, k))
}
