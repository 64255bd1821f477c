package api

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden makes every change of the contract a visible change of a file.
func TestGolden(t *testing.T) {
	t.Parallel()
	const golden = "testdata/openapi.golden.json"
	got, err := describe(withHealth(allRoutes()), "0.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the description is not %s; look at the difference and run go test ./api -run TestGolden -update", golden)
	}
}

// allRoutes is the table as the process serves it. The handlers are never called here.
func allRoutes() []Route {
	return slices.Concat(RunRoutes(nil, nil), RuntimeRoutes(nil), AgentRoutes(nil), ThreadRoutes(nil), WebhookRoutes(nil, nil), AuditRoutes(nil),
		ControlRoutes(nil), ExplainRoutes(nil), QuotaRoutes(nil), TenantRoutes(nil, nil), AnalyticsRoutes(nil), ScheduleRoutes(nil), MetricsRoutes(nil, "", false), PanelRoutes())
}

func withHealth(routes []Route) []Route { return append(routes, healthRoutes(nil, nil)...) }

// TestEveryRoute checks the table that the process serves as New would.
func TestEveryRoute(t *testing.T) {
	t.Parallel()
	if err := checkTable(withHealth(allRoutes())); err != nil {
		t.Fatal(err)
	}
}

// TestEverythingIsExplained: no family, permission or kind of event is described by its name alone.
func TestEverythingIsExplained(t *testing.T) {
	t.Parallel()
	for _, r := range withHealth(allRoutes()) {
		if tagWords(r.Meta.Tag) == "" {
			t.Errorf("%s: tagWords does not know the tag %q", r.name(), r.Meta.Tag)
		}
	}
	for _, p := range auth.Permissions() {
		if permissionWords(p) == "" {
			t.Errorf("permissionWords does not know %s", p)
		}
	}
	for _, k := range event.Types() {
		if k.Payload() == nil {
			t.Errorf("the payload of %s is not known to event.Type.Payload", k)
		}
	}
}
