package api

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"testing"
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
	return slices.Concat(RunRoutes(nil, nil), RuntimeRoutes(nil), AgentRoutes(nil), ThreadRoutes(nil), WebhookRoutes(nil, nil), AuditRoutes(nil), ScheduleRoutes(nil))
}

func withHealth(routes []Route) []Route { return append(routes, healthRoutes(nil, nil)...) }

// TestEveryRoute checks the table that the process serves as New would.
func TestEveryRoute(t *testing.T) {
	t.Parallel()
	if err := checkTable(withHealth(allRoutes())); err != nil {
		t.Fatal(err)
	}
}
