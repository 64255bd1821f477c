package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
)

const panelsPath = "/v1/analytics/panels"

func TestPanelsAreOfTheTenant(t *testing.T) {
	t.Parallel()
	r := start(t, PanelRoutes())
	for _, role := range []auth.Role{auth.RoleViewer, auth.RoleOwner} {
		a := r.do(t, request{method: "GET", path: panelsPath + "?window=1h", role: role})
		var v panelsView
		if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != 200 {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
		if v.TenantID != r.tenant || v.Window != "1h" || len(v.Panels) == 0 {
			t.Errorf("got %s", a.body)
		}
		for _, p := range v.Panels {
			for _, q := range p.Queries {
				if q.PromQL != nil && (!strings.Contains(*q.PromQL, `tenant_id="`+r.tenant.String()+`"`) || strings.Contains(*q.PromQL, "$")) {
					t.Errorf("%s %s is not the tenant's alone: %s", p.ID, q.ID, *q.PromQL)
				}
			}
		}
	}
	a := r.do(t, request{method: "GET", path: panelsPath, role: auth.RoleViewer})
	if a.status != 200 || !strings.Contains(a.body, `[5m]`) || !strings.Contains(a.body, `"window":"5m"`) {
		t.Errorf("without a window: %d %s", a.status, a.body)
	}
}

// Nothing that a caller says is put into an expression but its own tenant and a window from the list.
func TestPanelsTakeNobodysWords(t *testing.T) {
	t.Parallel()
	r := start(t, PanelRoutes())
	other := uuid.NewString()
	for name, c := range map[string]struct {
		query, tenant string
		role          auth.Role
		status        int
	}{
		"nobody":               {"", "", "", 401},
		"another tenant":       {"", other, auth.RoleOwner, 403},
		"a tenant with more":   {"", other + `"} or {tenant_id!="`, auth.RoleOwner, 400},
		"a window with more":   {"?window=5m%5D%29%20or%20vector%281", "", auth.RoleOwner, 422},
		"an unlisted window":   {"?window=7m", "", auth.RoleOwner, 422},
		"two windows":          {"?window=5m&window=1h", "", auth.RoleOwner, 400},
		"what is not asked":    {"?tenant_id=" + other, "", auth.RoleOwner, 400},
		"the platform, for it": {"", other, auth.RoleService, 200},
	} {
		q := request{method: "GET", path: panelsPath + c.query, role: c.role}
		if c.tenant != "" {
			q.header = map[string]string{auth.TenantHeader: c.tenant}
		}
		a := r.do(t, q)
		if a.status != c.status || strings.Contains(a.body, other) != (c.status == 200) && c.status != 400 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
