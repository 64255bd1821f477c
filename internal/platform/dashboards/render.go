package dashboards

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Of gives the panels of a tenant, whole: no expression or source has a variable left. window is that of rates, as
// Prometheus writes durations; the caller chooses it from a list, for it is put into expressions as it is.
//
// A tenant is an id here and nothing else: its text has no character that could end a matcher.
func Of(tenant uuid.UUID, window string) []Panel {
	fill := strings.NewReplacer("$tenant", tenant.String(), "$__rate_interval", window)
	panels := tenantPanels()
	for i := range panels {
		for j := range panels[i].Queries {
			q := &panels[i].Queries[j]
			q.PromQL = fill.Replace(q.PromQL)
			if q.Source != nil {
				q.Source = q.Source.of(tenant)
			}
		}
	}
	return panels
}

func (s *Source) of(tenant uuid.UUID) *Source {
	out := *s
	out.Path = strings.ReplaceAll(s.Path, "{tenant_id}", tenant.String())
	out.Parameters = make(map[string][]string, len(s.Parameters))
	for name, values := range maps.All(s.Parameters) {
		out.Parameters[name] = slices.Clone(values)
	}
	return &out
}

// tenantDashboard draws the same panels in Grafana, as far as a metric tells them.
func tenantDashboard() Dashboard {
	d := Dashboard{
		UID: "lari-tenant", File: "tenant", Title: "Lari / Tenant", OneTenant: true,
		Description: "One tenant: its requests, runs, usage and quotas. The same panels are served to a web console at GET /v1/analytics/panels.",
	}
	titles := map[Group]string{GroupRequests: "Requests", GroupRuns: "Runs", GroupUsage: "Usage", GroupQuotas: "Quotas"}
	for _, p := range tenantPanels() {
		if p.Queries = slices.DeleteFunc(p.Queries, func(q Query) bool { return q.PromQL == "" }); len(p.Queries) == 0 {
			continue
		}
		if n := len(d.Rows); n == 0 || d.Rows[n-1].Title != titles[p.Group] {
			d.Rows = append(d.Rows, Row{Title: titles[p.Group]})
		}
		last := &d.Rows[len(d.Rows)-1]
		last.Panels = append(last.Panels, p)
	}
	d.Rows = append(d.Rows, Row{Title: "Workspaces", Panels: []Panel{{
		ID: "workspaces", Kind: Timeseries, Unit: Count, Stacked: true, Width: 24,
		Title:       english("Active runs by workspace"),
		Description: english("The gauge of active runs is the only metric that carries the workspace: GET /v1/analytics/usage and /runs answer the rest, by workspace_id."),
		Queries:     []Query{{ID: "active", Legend: "{{workspace_id}}", PromQL: "sum by (workspace_id) (" + selector(activeRuns, ofTenant, ofWorkspace) + ")"}},
	}}})
	return d
}

const ofWorkspace = `workspace_id=~"$workspace"`
