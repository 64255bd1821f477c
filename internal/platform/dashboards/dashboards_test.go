package dashboards_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/dashboards"
)

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// checkPanels demands what consoles and links rely on.
func checkPanels(t *testing.T, where string, panels []dashboards.Panel) {
	t.Helper()
	ids := map[string]bool{}
	for _, p := range panels {
		if !identifier.MatchString(p.ID) || ids[p.ID] {
			t.Errorf("%s: %q is no id, or there are two", where, p.ID)
		}
		ids[p.ID] = true
		queries := map[string]bool{}
		for _, q := range p.Queries {
			if !identifier.MatchString(q.ID) || queries[q.ID] || q.Legend == "" && p.Kind != dashboards.Stat {
				t.Errorf("%s, %s: a query %q with the legend %q", where, p.ID, q.ID, q.Legend)
			}
			queries[q.ID] = true
		}
		for i, one := range p.Thresholds {
			if i > 0 && (one.Value <= p.Thresholds[i-1].Value || one.Level != dashboards.Critical || one.Below != p.Thresholds[0].Below) {
				t.Errorf("%s, %s: thresholds %v", where, p.ID, p.Thresholds)
			}
		}
	}
}

func TestPanelsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, d := range dashboards.All() {
		var all []dashboards.Panel
		for _, row := range d.Rows {
			all = append(all, row.Panels...)
		}
		checkPanels(t, d.UID, all)
	}
	of := dashboards.Of(uuid.New(), "5m")
	checkPanels(t, "a tenant", of)
	groups := []dashboards.Group{dashboards.GroupRequests, dashboards.GroupRuns, dashboards.GroupUsage, dashboards.GroupQuotas, dashboards.GroupConnectors}
	for _, p := range of {
		for len(groups) > 0 && groups[0] != p.Group {
			groups = groups[1:]
		}
		if len(groups) == 0 {
			t.Fatalf("%s is not in the order of the groups", p.ID)
		}
		for _, one := range p.Thresholds {
			if one.Below {
				t.Errorf("%s: consoles take a threshold for one from which on it is bad", p.ID)
			}
		}
	}
}

// What is given to one tenant is not what another one gets, whatever becomes of it.
func TestPanelsOfTenantsAreApart(t *testing.T) {
	t.Parallel()
	one, two := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	first := dashboards.Of(one, "5m")
	for i := range first {
		for _, q := range first[i].Queries {
			if q.Source != nil {
				q.Source.Path = one.String()
				q.Source.Parameters["mine"] = []string{one.String()}
				for name := range q.Source.Labels {
					q.Source.Labels[name] = one.String()
				}
			}
		}
	}
	filled := 0
	for _, p := range dashboards.Of(two, "1h") {
		for _, q := range p.Queries {
			text := q.PromQL
			if q.Source != nil {
				text += q.Source.Path
				for _, pointer := range q.Source.Labels {
					text += pointer
				}
				if q.Source.Parameters["mine"] != nil {
					t.Errorf("%s, %s has another tenant's parameters", p.ID, q.ID)
				}
			}
			if strings.Contains(text, one.String()) || strings.ContainsAny(q.PromQL, "$") || strings.Contains(text, "{tenant_id}") {
				t.Errorf("%s, %s: %s", p.ID, q.ID, text)
			}
			filled += strings.Count(text, two.String())
		}
	}
	if filled < 40 {
		t.Errorf("the tenant is named %d times", filled)
	}
}
