package main

import (
	"regexp"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/larirun/lari/internal/platform/dashboards"
)

// Where links lead unless the variables of the dashboard say otherwise: the addresses of `lari dev`.
const (
	consoleURL        = "http://127.0.0.1:8080"
	temporalUIURL     = "http://127.0.0.1:18233"
	temporalNamespace = "default"
)

// known lists the variables in the order in which they are shown.
func known() []variable {
	return []variable{
		{"datasource", func(dashboards.Dashboard) cog.Builder[dashboard.VariableModel] {
			return dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus").
				Description("The Prometheus that scrapes Lari.")
		}},
		{"tenant", func(d dashboards.Dashboard) cog.Builder[dashboard.VariableModel] {
			if d.OneTenant {
				return values("tenant", "Tenant", "The tenant that everything here is of.", "label_values(lari_http_request_duration_seconds_count, tenant_id)")
			}
			return several("tenant", "Tenant", "Of metrics that carry a tenant, those of these.", "label_values(lari_http_request_duration_seconds_count, tenant_id)")
		}},
		{"workspace", func(d dashboards.Dashboard) cog.Builder[dashboard.VariableModel] {
			query := `label_values(lari_runs_active{tenant_id=~"$tenant"}, workspace_id)`
			if d.OneTenant {
				query = `label_values(lari_runs_active{tenant_id="$tenant"}, workspace_id)`
			}
			return several("workspace", "Workspace", "Of the gauge of active runs, which alone carries the workspace, the runs in these. Offers those that have active runs.", query)
		}},
		{"namespace", func(dashboards.Dashboard) cog.Builder[dashboard.VariableModel] {
			return several("namespace", "Temporal namespace", "As the metrics of Temporal's SDK spell it: with _ for what is no letter or digit.", "label_values(temporal_worker_start_total, namespace)")
		}},
		{"console", func(dashboards.Dashboard) cog.Builder[dashboard.VariableModel] {
			return text("console", "Console", "Base URL of Lari's web console, for links to runs.", consoleURL)
		}},
		{"temporal_ui", func(dashboards.Dashboard) cog.Builder[dashboard.VariableModel] {
			return text("temporal_ui", "Temporal UI", "Base URL of Temporal's UI, for links to workflows.", temporalUIURL)
		}},
		{"temporal_namespace", func(dashboards.Dashboard) cog.Builder[dashboard.VariableModel] {
			return text("temporal_namespace", "Namespace", "Temporal's namespace in those links.", temporalNamespace)
		}},
	}
}

// mention finds $name and ${name}.
var mention = regexp.MustCompile(`\$\{?([a-z]\w*)`)

// variables gives those that the dashboard's expressions and links name, and the data source.
func variables(d dashboards.Dashboard) (out []cog.Builder[dashboard.VariableModel]) {
	named := map[string]bool{"datasource": true}
	note := func(s string) {
		for _, m := range mention.FindAllStringSubmatch(s, -1) {
			named[m[1]] = true
		}
	}
	for _, row := range d.Rows {
		for _, p := range row.Panels {
			for _, q := range p.Queries {
				note(q.PromQL)
			}
			for _, l := range p.Links {
				note(linkURL(l, p.Kind))
			}
		}
	}
	if named["workspace"] {
		named["tenant"] = true
	}
	for _, v := range slices.DeleteFunc(known(), func(v variable) bool { return !named[v.name] }) {
		out = append(out, v.builder(d))
	}
	return out
}

func values(name, label, description, query string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).Label(label).Description(description).
		Datasource(source()).Query(dashboard.StringOrMap{String: &query}).Definition(query).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
}

// several lets more than one value be chosen, and begins with all. They match by .* then: a thousand tenants one by
// one would be too long for a request.
func several(name, label, description, query string) *dashboard.QueryVariableBuilder {
	all, value := "All", "$__all"
	return values(name, label, description, query).Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{Text: dashboard.StringOrArrayOfString{String: &all}, Value: dashboard.StringOrArrayOfString{String: &value}})
}

func text(name, label, description, value string) *dashboard.TextBoxVariableBuilder {
	one := dashboard.StringOrArrayOfString{String: &value}
	return dashboard.NewTextBoxVariableBuilder(name).Label(label).Description(description).
		DefaultValue(dashboard.StringOrMap{String: &value}).Current(dashboard.VariableOption{Text: one, Value: one})
}

func source() common.DataSourceRef {
	kind, uid := "prometheus", "${datasource}"
	return common.DataSourceRef{Type: &kind, Uid: &uid}
}
