package telemetry

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

const (
	cataloguePage  = "../../../docs/metrics.md"
	catalogueBegin = "<!-- The table is generated from internal/platform/telemetry/metrics.go: make generate. -->\n"
)

// TestCatalogueIsFresh: the table of the page is what the process exports.
func TestCatalogueIsFresh(t *testing.T) {
	t.Parallel()
	m := New(Options{})
	exercise(t, m)
	table := catalogue(t, m)
	page, err := os.ReadFile(cataloguePage)
	if err != nil {
		t.Fatal(err)
	}
	before, got, found := strings.Cut(string(page), catalogueBegin)
	if !found {
		t.Fatalf("docs/metrics.md has no line %s", catalogueBegin)
	}
	if *update {
		if err := os.WriteFile(cataloguePage, []byte(before+catalogueBegin+table), 0o600); err != nil { //nolint:gosec // G703: the path is written above
			t.Fatal(err)
		}
		return
	}
	if got != table {
		t.Error("docs/metrics.md is stale: run make generate")
	}
}

func catalogue(t *testing.T, m *Metrics) string {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("\n| metric | type | labels | what it is |\n|---|---|---|---|\n")
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "lari_") {
			continue
		}
		help := strings.ReplaceAll(f.GetHelp(), "|", `\|`)
		if f.GetType() == dto.MetricType_HISTOGRAM {
			help += " Buckets: " + bucketsOf(f.GetMetric()[0]) + "."
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), labelsOf(f), help)
	}
	return out.String()
}

func labelsOf(f *dto.MetricFamily) string {
	var names []string
	for _, l := range f.GetMetric()[0].GetLabel() {
		names = append(names, "`"+l.GetName()+"`")
	}
	if len(names) == 0 {
		return "–"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func bucketsOf(m *dto.Metric) string {
	var bounds []string
	for _, b := range m.GetHistogram().GetBucket() {
		bounds = append(bounds, strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
	}
	return strings.Join(bounds, ", ")
}
