package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/larirun/lari/internal/platform/dashboards"
)

const folder = "../../deploy/grafana"

// page is what tests read of Grafana's JSON.
type page struct {
	UID        string
	Title      string
	Panels     []drawn
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
}

type drawn struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct {
		Expr, LegendFormat, RefID string
		Exemplar, Instant, Range  bool
	}
	FieldConfig json.RawMessage
}

func pages(t *testing.T) map[string]page {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: %v", files, err)
	}
	out := map[string]page{}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // G304: of the tree
		if err != nil {
			t.Fatal(err)
		}
		var p page
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = p
	}
	return out
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	linkLabel   = regexp.MustCompile(`\$\{__(?:field\.labels|data\.fields)\.(\w+)\}`)
)

// everything gives all expressions of the files: of panels, and of variables.
func everything(t *testing.T) (out []expression) {
	t.Helper()
	for name, p := range pages(t) {
		for _, panel := range p.Panels {
			var linked []string
			for _, m := range linkLabel.FindAllStringSubmatch(string(panel.FieldConfig), -1) {
				linked = append(linked, m[1])
			}
			for _, target := range panel.Targets {
				e := expression{where: name + ", " + panel.Title, promql: target.Expr, labels: linked}
				for _, m := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
					e.labels = append(e.labels, m[1])
				}
				out = append(out, e)
			}
		}
		for _, v := range p.Templating.List {
			if v.Type != "query" {
				continue
			}
			m := labelValues.FindStringSubmatch(fmt.Sprint(v.Query))
			if m == nil {
				t.Fatalf("%s: the variable %s asks %v", name, v.Name, v.Query)
			}
			out = append(out, expression{where: name + ", $" + v.Name, promql: m[1], labels: []string{m[2]}})
		}
	}
	return out
}

func TestFilesAreFresh(t *testing.T) {
	t.Parallel()
	files := pages(t)
	for _, d := range dashboards.All() {
		want, err := render(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(folder, d.File+".json")); err != nil || string(got) != string(want) {
			t.Errorf("deploy/grafana/%s.json is stale (%v): run make generate", d.File, err)
		}
		delete(files, d.File)
	}
	for name := range files {
		t.Errorf("deploy/grafana/%s.json is of no dashboard", name)
	}
}

// Every variable that is used exists, every panel says what it is, has a place of its own and is asked for something.
func TestFilesAreWhole(t *testing.T) {
	t.Parallel()
	uids := map[string]bool{}
	for name, p := range pages(t) {
		if p.UID == "" || uids[p.UID] || p.Title == "" {
			t.Errorf("%s: uid %q, title %q", name, p.UID, p.Title)
		}
		uids[p.UID] = true
		variables := []string{"__rate_interval", "__field", "__data", "__url_time_range"}
		for _, v := range p.Templating.List {
			variables = append(variables, v.Name)
		}
		text, err := os.ReadFile(filepath.Join(folder, name+".json")) //nolint:gosec // G304: of the tree
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(variables, m[1]) && m[1] != "__all" {
				t.Errorf("%s: there is no variable %s", name, m[1])
			}
		}
		taken := map[[2]int]string{}
		ids := map[int]bool{}
		for _, panel := range p.Panels {
			where := name + ", " + panel.Title
			if panel.Type != "row" && (panel.Description == "" || len(panel.Targets) == 0) || panel.Title == "" || ids[panel.ID] {
				t.Errorf("%s: a panel without title, description, queries or an id of its own", where)
			}
			ids[panel.ID] = true
			if panel.GridPos.X+panel.GridPos.W > 24 {
				t.Errorf("%s: it reaches beyond the right side", where)
			}
			for x := range panel.GridPos.W {
				for y := range panel.GridPos.H {
					place := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
					if taken[place] != "" {
						t.Fatalf("%s lies on %s", where, taken[place])
					}
					taken[place] = where
				}
			}
		}
	}
	if len(uids) != 7 {
		t.Errorf("%d dashboards, want 7", len(uids))
	}
}

// What a tenant is given selects its own series, in every selector, and by an equality that nothing else can pass.
func TestPanelsOfATenantSelectItAlone(t *testing.T) {
	t.Parallel()
	tenant := uuid.Must(uuid.NewV7())
	for _, p := range dashboards.Of(tenant, "5m") {
		if p.Title.English == "" || p.Title.Indonesian == "" || p.Description.English == "" || p.Description.Indonesian == "" {
			t.Errorf("%s lacks words", p.ID)
		}
		for _, q := range p.Queries {
			if q.PromQL == "" && q.Source == nil {
				t.Errorf("%s, %s: nobody answers it", p.ID, q.ID)
			}
			if q.PromQL == "" {
				continue
			}
			tree, err := parser.NewParser(parser.Options{}).ParseExpr(q.PromQL)
			if err != nil {
				t.Fatalf("%s, %s: %v", p.ID, q.ID, err)
			}
			selectors := 0
			parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
				s, ok := n.(*parser.VectorSelector)
				if !ok {
					return nil
				}
				selectors++
				if !slices.ContainsFunc(s.LabelMatchers, func(m *labels.Matcher) bool {
					return m.Name == "tenant_id" && m.Type == labels.MatchEqual && m.Value == tenant.String()
				}) {
					t.Errorf("%s, %s: %s is not the tenant's alone", p.ID, q.ID, s)
				}
				return nil
			})
			if selectors == 0 {
				t.Errorf("%s, %s selects nothing: %s", p.ID, q.ID, q.PromQL)
			}
		}
	}
}

// A metric is drawn, or somebody has said why not.
func TestEveryMetricIsDrawn(t *testing.T) {
	t.Parallel()
	known, f := declared(t), newFindings()
	for _, e := range everything(t) {
		_ = known.check(e, f) // what is wrong with it is another test's
	}
	undrawn := dashboards.Undrawn()
	for name := range known {
		switch reason, listed := undrawn[name]; {
		case !listed && !f.metrics[name]:
			t.Errorf("no dashboard draws %s: draw it, or say in dashboards.Undrawn why not", name)
		case listed && (f.metrics[name] || reason == ""):
			t.Errorf("%s is in dashboards.Undrawn but drawn, or has no reason there", name)
		}
		delete(undrawn, name)
	}
	for name := range undrawn {
		t.Errorf("dashboards.Undrawn has %s, which does not exist", name)
	}
}

// The check finds what it is there for.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	known := declared(t)
	for _, c := range []struct{ promql, wrong string }{
		{`sum by (tenant_id) (rate(lari_runs_finished_total{status="failed"}[5m]))`, ""},
		{`histogram_quantile(0.9, sum by (le) (rate(lari_run_duration_seconds_bucket{tenant_id=~"$tenant"}[$__rate_interval])))`, ""},
		{`sum(rate(lari_runs_ended_total[5m]))`, "no metric lari_runs_ended_total"},
		{`lari_run_duration_seconds`, "no metric"},
		{`lari_runs_started_total_bucket`, "no metric"},
		{`sum(rate(lari_runs_started_total{status="failed"}[5m]))`, "has no label status"},
		{`sum by (model) (lari_runs_active)`, "no label model to group by"},
		{`sum by (run_id) (sum by (tenant_id) (lari_runs_active))`, "no label run_id to group by"},
		{`sum(rate(lari_runs_started_total[5m])`, "unclosed left parenthesis"},
		{`sum(rate(lari_runs_started_total[$interval]))`, "a variable is not known"},
		{`rate(lari_runs_active[5m])`, "which is a gauge"},
		{`histogram_quantile(0.9, sum by (tenant_id) (rate(lari_run_duration_seconds_bucket[5m])))`, "without le"},
		{`sum by (tenant_id) (lari_quota_used) / sum by (quota) (lari_quota_limit)`, "never match"},
		{`lari_runs_active and on (pool) lari_http_requests_in_flight`, "not both sides have the label pool"},
	} {
		err := known.check(expression{where: "here", promql: c.promql}, newFindings())
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.promql, err, c.wrong)
		}
	}
	err := known.check(expression{where: "here", promql: "sum by (tenant_id) (lari_runs_active)", labels: []string{"run_id"}}, newFindings())
	if err == nil || !strings.Contains(err.Error(), "needs the label run_id") {
		t.Errorf("a legend of a label that is not there: %v", err)
	}
}
