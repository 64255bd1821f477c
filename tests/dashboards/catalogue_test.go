package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// metric is what is known of a name.
type metric struct {
	kind   string // counter, gauge, histogram
	labels []string
}

// catalogue is metrics by name.
type catalogue map[string]metric

var row = regexp.MustCompile("(?m)^\\| `(lari_\\w+)` \\| (\\w+) \\| ([^|]*) \\|")

// declared is the catalogue of telemetry, as the page has it: a test there keeps the page true.
func declared(t *testing.T) catalogue {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	c := catalogue{}
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		one := metric{kind: m[2]}
		for _, label := range strings.Split(m[3], ",") {
			if label = strings.Trim(label, " `–"); label != "" {
				one.labels = append(one.labels, label)
			}
		}
		c[m[1]] = one
	}
	if len(c) < 40 || !slices.Equal(c["lari_runs_active"].labels, []string{"run_id", "tenant_id", "workspace_id"}) {
		t.Fatalf("docs/metrics.md is not read well: %v", c)
	}
	return c
}

// exported is the catalogue of what a process exports.
func exported(families []*dto.MetricFamily) catalogue {
	c := catalogue{}
	for _, f := range families {
		one := metric{kind: strings.ToLower(f.GetType().String())}
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				if !slices.Contains(one.labels, l.GetName()) {
					one.labels = append(one.labels, l.GetName())
				}
			}
		}
		c[f.GetName()] = one
	}
	return c
}

// together takes lari_ from the declared ones and every other name from the exported ones.
func together(declared, exported catalogue) catalogue {
	c := catalogue{}
	for name, m := range exported {
		if !strings.HasPrefix(name, "lari_") {
			c[name] = m
		}
	}
	for name, m := range declared {
		c[name] = m
	}
	return c
}

// find gives the metric that a series belongs to, and the series' own labels: those that Prometheus adds, and le.
func (c catalogue) find(series string) (name string, m metric, labels []string, found bool) {
	name = series
	if m, found = c[name]; !found || m.kind == "histogram" {
		found = false
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			base, cut := strings.CutSuffix(series, end)
			if h, known := c[base]; cut && known && h.kind == "histogram" {
				name, m, found = base, h, true
				if end == "_bucket" {
					labels = append(labels, "le")
				}
			}
		}
	}
	return name, m, append(append(labels, m.labels...), "job", "instance"), found
}
