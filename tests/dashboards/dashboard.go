package main

import (
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/larirun/lari/internal/platform/dashboards"
)

const tag = "lari"

// render gives a dashboard as Grafana's provisioning reads it.
func render(d dashboards.Dashboard) ([]byte, error) {
	b := dashboard.NewDashboardBuilder(d.Title).
		Uid(d.UID).Description(d.Description).Tags([]string{tag, "generated"}).
		Timezone("browser").Time("now-3h", "now").Refresh("1m").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).Readonly().
		Link(dashboard.NewDashboardLinkBuilder("Lari").Type(dashboard.DashboardLinkTypeDashboards).Tags([]string{tag}).AsDropdown(true).KeepTime(true))
	for _, v := range variables(d) {
		b.WithVariable(v)
	}
	id := uint32(0)
	for _, row := range d.Rows {
		id++
		b.WithRow(dashboard.NewRowBuilder(row.Title).Id(id))
		for _, p := range row.Panels {
			id++
			panel, err := panelOf(p, id)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", d.UID, p.ID, err)
			}
			b.WithPanel(panel)
		}
	}
	built, err := b.Build()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.UID, err)
	}
	for i := range built.Links {
		built.Links[i].Placement = nil // the SDK's own choice hides it in a menu
	}
	text, err := json.MarshalIndent(built, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.UID, err)
	}
	return append(text, '\n'), nil
}

// variable is one that a dashboard has when an expression, a link or another variable names it.
type variable struct {
	name    string
	builder func(d dashboards.Dashboard) cog.Builder[dashboard.VariableModel]
}
