package promql_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v2"
)

const (
	deployed   = "../../deploy/prometheus"
	metricPage = "../../docs/metrics.md"
	runbook    = "../../docs/operations.md"
	// foreign are metrics of others that a real process was seen to export with these labels: tests/rules.
	foreign = "../rules/testdata/foreign.txt"
)

// known is the metrics that there are, with their labels. A histogram is known by its series.
type known map[string][]string

var (
	catalogueRow = regexp.MustCompile("(?m)^\\| `(lari_\\w+)` \\| (\\w+) \\| (.*?) \\| (.*) \\|$")
	fenced       = regexp.MustCompile("(?ms)^```promql\n(.*?)^```$")
	heading      = regexp.MustCompile(`(?m)^#+ (\S+)$`)
)

func text(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path) //nolint:gosec // a test's own list of paths
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// catalogue reads the generated page, which the program's own tests prove fresh.
func catalogue(t *testing.T) (all known, bounds map[string][]string) {
	t.Helper()
	all, bounds = known{"up": {"job", "role"}}, map[string][]string{}
	for _, row := range catalogueRow.FindAllStringSubmatch(text(t, metricPage), -1) {
		name, kind := row[1], row[2]
		labels := []string{"job"}
		for _, l := range strings.Split(row[3], ", ") {
			labels = append(labels, strings.Trim(l, "`–"))
		}
		all[name] = labels // of a histogram: its native form
		if kind == "histogram" {
			all[name+"_count"], all[name+"_sum"], all[name+"_bucket"] = labels, labels, append(slices.Clip(labels), "le")
			_, list, _ := strings.Cut(row[4], "Buckets: ")
			bounds[name+"_bucket"] = strings.Split(strings.TrimSuffix(list, "."), ", ")
		}
	}
	if len(bounds) < 10 {
		t.Fatalf("%s has %d histograms", metricPage, len(bounds))
	}
	for line := range strings.Lines(text(t, foreign)) {
		words := strings.Fields(line)
		all[words[0]] = words[1:]
	}
	return all, bounds
}

func rules(t *testing.T) (all []rulefmt.Rule) {
	t.Helper()
	files, err := filepath.Glob(deployed + "/rules/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	for _, file := range files {
		groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			t.Fatalf("%s: %v", file, errs)
		}
		for _, g := range groups.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

// TestRulesAskForWhatThereIs: every metric of the rules and of the runbook is in the catalogue or made by a rule, and has the labels that are
// asked for; every bound of a bucket that is named is one.
func TestRulesAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	all, bounds := catalogue(t)
	for _, r := range rules(t) {
		if r.Record != "" {
			all[r.Record] = append(all[r.Record], "tenant_id", "slo", "quantile", "route", "method")
		}
	}
	for _, r := range rules(t) {
		check(t, all, bounds, r.Record+r.Alert, r.Expr)
	}
	queries := fenced.FindAllStringSubmatch(text(t, runbook), -1)
	for _, q := range queries {
		check(t, all, bounds, "docs/operations.md", q[1])
	}
	if len(queries) < 15 {
		t.Errorf("the runbook has %d queries", len(queries))
	}
}

// check demands that what an expression asks for can be.
func check(t *testing.T, all known, bounds map[string][]string, where, expression string) {
	t.Helper()
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		t.Errorf("%s: %v in %s", where, err, expression)
		return
	}
	parser.Inspect(tree, func(node parser.Node, path []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		labels, found := all[selector.Name]
		if !found {
			t.Errorf("%s: there is no metric %s", where, selector.Name)
			return nil
		}
		for _, m := range selector.LabelMatchers {
			if m.Name != model.MetricNameLabel && !slices.Contains(labels, m.Name) {
				t.Errorf("%s: %s has no label %s", where, selector.Name, m.Name)
			}
			if m.Name == model.BucketLabel && !slices.ContainsFunc(bounds[selector.Name], m.Matches) {
				t.Errorf("%s: %s has no bucket %s", where, selector.Name, m.Value)
			}
		}
		for _, above := range path { // what an aggregation keeps, the metric must have
			a, ok := above.(*parser.AggregateExpr)
			if !ok || a.Without {
				continue
			}
			for _, l := range a.Grouping {
				if l != "instance" && !slices.Contains(labels, l) {
					t.Errorf("%s: %s has no label %s to group by", where, selector.Name, l)
				}
			}
		}
		return nil
	})
}

// cases is a file of tests as far as this looks into it.
type cases struct {
	Tests []struct {
		AlertRuleTest []struct {
			Alertname string        `yaml:"alertname"`
			ExpAlerts []interface{} `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	} `yaml:"tests"`
}

// TestAlertsAreExplainedAndTried: each has a severity, texts with what it saw, a section in the runbook that its link
// leads to, a test in which it fires and one in which it does not. A section of no alert is a mistake too.
func TestAlertsAreExplainedAndTried(t *testing.T) {
	t.Parallel()
	fires, rests := map[string]bool{}, map[string]bool{"LariWatchdog": true} // which always fires
	files, err := filepath.Glob(deployed + "/tests/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var c cases
		if err := yaml.Unmarshal([]byte(text(t, file)), &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range c.Tests {
			for _, a := range test.AlertRuleTest {
				if len(a.ExpAlerts) > 0 {
					fires[a.Alertname] = true
				} else {
					rests[a.Alertname] = true
				}
			}
		}
	}
	sections := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(text(t, runbook), -1) {
		if strings.HasPrefix(h[1], "Lari") {
			sections[h[1]] = true
		}
	}
	alerts := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if s := r.Labels["severity"]; s != "page" && s != "ticket" && s != "none" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no summary or description", r.Alert)
		}
		if link := r.Annotations["runbook_url"]; !strings.HasSuffix(link, "/docs/operations.md#"+strings.ToLower(r.Alert)) {
			t.Errorf("%s links to %s", r.Alert, link)
		}
		if !fires[r.Alert] || !rests[r.Alert] {
			t.Errorf("%s fires in a test: %t, does not in one: %t", r.Alert, fires[r.Alert], rests[r.Alert])
		}
	}
	for name := range alerts {
		if !sections[name] {
			t.Errorf("docs/operations.md has no section %s", name)
		}
	}
	for name := range sections {
		if !alerts[name] {
			t.Errorf("docs/operations.md explains %s, which is no alert", name)
		}
	}
}

// TestObjectivesCanBurn: what is left by an objective, times the fastest rate, must be a share that can be reached.
func TestObjectivesCanBurn(t *testing.T) {
	t.Parallel()
	n := 0
	for _, r := range rules(t) {
		if r.Record != "lari:slo:objective" {
			continue
		}
		n++
		var objective float64
		if _, err := fmt.Sscanf(r.Expr, "vector(%g)", &objective); err != nil || objective <= 1-1/14.4 || objective >= 1 {
			t.Errorf("the objective of %s is %s", r.Labels["slo"], r.Expr)
		}
	}
	if n != 3 {
		t.Errorf("there are %d objectives", n)
	}
}
