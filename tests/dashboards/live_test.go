package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/dashboards"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.WithoutLeaks(m)) }

// TestAgainstARunningProgram looks up what dashboards and panels name in what a program exports that has done
// something of everything, and asks Lari's own answers for the figures that panels promise there.
func TestAgainstARunningProgram(t *testing.T) {
	t.Parallel()
	p, x := busy(t)
	families := measured(t, p)
	known, live := declared(t), exported(families)
	for name, m := range live {
		if d, found := known[name]; strings.HasPrefix(name, "lari_") && (!found || d.kind != m.kind || !sameSet(d.labels, m.labels)) {
			t.Errorf("%s is %v, the catalogue says %v", name, m, d)
		}
	}

	all, f := together(known, live), newFindings()
	expressions := everything(t)
	for _, panel := range dashboards.Of(x.ID, "5m") {
		for _, q := range panel.Queries {
			if q.PromQL != "" {
				e := expression{where: "the panel " + panel.ID, promql: q.PromQL}
				for _, m := range legendLabel.FindAllStringSubmatch(q.Legend, -1) {
					e.labels = append(e.labels, m[1])
				}
				expressions = append(expressions, e)
			}
		}
	}
	for _, e := range expressions {
		if err := all.check(e, f); err != nil {
			t.Error(err)
		}
	}
	checkMatchers(t, families, f)
	checkExemplars(t, families)
	checkSources(t, p, x)
	scraped := record(families)
	checkFigures(t, scraped, x, expressions)
	checkSame(t, scraped, x)
}

// measured gives what the process exports once it has told of everything; what only the database knows is told
// every quarter of a minute.
func measured(t *testing.T, p *harness.Process) (families []*dto.MetricFamily) {
	t.Helper()
	lacking := ""
	defer func() {
		if t.Failed() {
			t.Logf("there is no %s", lacking)
		}
	}()
	harness.Eventually(t, time.Minute, "everything is measured", func() bool {
		var err error
		if families, err = p.App.Metrics.Registry().Gather(); err != nil {
			t.Fatal(err)
		}
		lacking = missing(families)
		return lacking == ""
	})
	return families
}

// missing says what a process that is busy enough exports and this one does not yet: what comes late, or not at once.
func missing(families []*dto.MetricFamily) string {
	for _, want := range []struct{ metric, label, value string }{
		{"lari_quota_used", "quota", "cost_usd_per_month"},
		{"lari_quota_limit", "quota", "tokens_per_month"},
		{"lari_runs_active", "workspace_id", "_none"},
		{"lari_runs_finished_total", "status", "timed_out"},
		{"lari_run_cancel_to_stopped_seconds", "tenant_id", ""},
		{"lari_connector_lag_seconds", "connector", "alerts"},
		{"lari_connector_lag_seconds", "connector", "webhook"},
		{"lari_connector_lag_seconds", "connector", "endpoints"},
		{"lari_connector_attempts_total", "outcome", "failed"},
		{"temporal_activity_execution_failed_total", "activity_type", ""},
		{"temporal_activity_schedule_to_start_latency_seconds", "task_queue", "connectors"},
		{"temporal_request_failure_total", "operation", ""},
	} {
		if !slices.ContainsFunc(families, func(f *dto.MetricFamily) bool {
			return f.GetName() == want.metric && slices.ContainsFunc(f.GetMetric(), func(series *dto.Metric) bool {
				return slices.ContainsFunc(series.GetLabel(), func(l *dto.LabelPair) bool {
					return l.GetName() == want.label && (want.value == "" || l.GetValue() == want.value)
				})
			})
		}) {
			return want.metric + " with " + want.label + " " + want.value
		}
	}
	return ""
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// checkMatchers: a matcher that finds no series was misspelt. Alternatives are looked for one by one.
func checkMatchers(t *testing.T, families []*dto.MetricFamily, f *findings) {
	t.Helper()
	for _, family := range families {
		for _, m := range f.matchers[family.GetName()] {
			for _, one := range alternatives(t, m) {
				if !slices.ContainsFunc(family.GetMetric(), func(series *dto.Metric) bool {
					return slices.ContainsFunc(series.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == one.Name && one.Matches(l.GetValue()) })
				}) {
					t.Errorf("no series of %s has %s", family.GetName(), one)
				}
			}
		}
	}
}

func alternatives(t *testing.T, m *labels.Matcher) (out []*labels.Matcher) {
	t.Helper()
	for part := range strings.SplitSeq(m.Value, "|") {
		one, err := labels.NewMatcher(m.Type, m.Name, part)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, one)
	}
	return out
}

// checkExemplars: a histogram whose observations lead somewhere is drawn with the dots.
func checkExemplars(t *testing.T, families []*dto.MetricFamily) {
	t.Helper()
	found := 0
	for _, family := range families {
		if family.GetType() != dto.MetricType_HISTOGRAM || !strings.HasPrefix(family.GetName(), "lari_") {
			continue
		}
		for _, series := range family.GetMetric() {
			for _, b := range series.GetHistogram().GetBucket() {
				if b.GetExemplar() == nil {
					continue
				}
				found++
				if !exemplary.MatchString(family.GetName() + "_bucket") {
					t.Errorf("%s has exemplars, which no dashboard draws", family.GetName())
				}
			}
		}
	}
	if found == 0 {
		t.Error("there is no exemplar")
	}
	for name, p := range pages(t) {
		for _, panel := range p.Panels {
			for _, target := range panel.Targets {
				if want := panel.Type == "timeseries" && exemplary.MatchString(target.Expr); target.Exemplar != want {
					t.Errorf("%s, %s: exemplars %t, want %t", name, panel.Title, target.Exemplar, want)
				}
			}
		}
	}
}

// checkSources asks for what the served panels say that Lari answers, as the tenant.
func checkSources(t *testing.T, p *harness.Process, x *harness.Tenant) {
	t.Helper()
	described, err := harness.Describe(t.Context(), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	var served struct {
		Panels []struct {
			ID      string
			Queries []struct {
				ID   string
				Lari *place
			}
		}
	}
	x.Do(t, "GET", "/v1/analytics/panels", nil).Want(t, 200, &served)
	figures, asked := 0, 0
	for _, panel := range served.Panels {
		for _, q := range panel.Queries {
			if q.Lari == nil {
				continue
			}
			where := panel.ID + ", " + q.ID
			o := described.Match("GET", q.Lari.Path)
			if o == nil || o.ID != q.Lari.Operation || o.Permission != q.Lari.Permission {
				t.Errorf("%s: %s is described as %+v", where, q.Lari.Path, o)
				continue
			}
			n, err := q.Lari.figures(q.Lari.ask(t, x))
			if err != nil {
				t.Errorf("%s: %v", where, err)
			}
			figures += n
			asked++
		}
	}
	if asked < 30 || figures < 100 {
		t.Errorf("%d queries were answered with %d figures", asked, figures)
	}
}

// place is what a console reads of where figures are.
type place struct {
	Operation, Path, Permission string
	Parameters                  map[string][]string
	Rows, Time, Value           *string
	RowKey                      *string `json:"row_key"`
	Labels                      map[string]string
}

// ask sends the request as the tenant.
func (s place) ask(t *testing.T, x *harness.Tenant) (answer any) {
	t.Helper()
	x.Do(t, "GET", s.Path+"?"+url.Values(s.Parameters).Encode(), nil).Want(t, http.StatusOK, &answer)
	return answer
}

// figures counts the figures in an answer, as a console would find them.
func (s place) figures(answer any) (int, error) {
	if s.Rows == nil {
		return 1, s.figure(answer)
	}
	found, err := at(answer, *s.Rows)
	if err != nil {
		return 0, err
	}
	var rows []any
	switch found := found.(type) {
	case []any:
		rows = found
	case map[string]any:
		for _, row := range found {
			rows = append(rows, row)
		}
	}
	if _, object := found.(map[string]any); object != (s.RowKey != nil) {
		return 0, fmt.Errorf("the rows are %T", found)
	}
	if len(rows) == 0 {
		return 0, fmt.Errorf("there are no rows at %s", *s.Rows)
	}
	for _, row := range rows {
		if err := s.figure(row); err != nil {
			return 0, err
		}
		for _, pointer := range s.Labels {
			if _, err := at(row, pointer); err != nil {
				return 0, err
			}
		}
		if s.Time != nil {
			text, err := at(row, *s.Time)
			if err != nil {
				return 0, err
			}
			if _, err := time.Parse(time.RFC3339, fmt.Sprint(text)); err != nil {
				return 0, err
			}
		}
	}
	return len(rows), nil
}

// figure demands a number, a decimal in a string, or null.
func (s place) figure(row any) error {
	if s.Value == nil {
		return nil
	}
	_, err := s.number(row)
	return err
}

// number gives it; null is not a number.
func (s place) number(row any) (float64, error) {
	v, err := at(row, *s.Value)
	if err != nil {
		return 0, err
	}
	switch v := v.(type) {
	case nil:
		return math.NaN(), nil
	case float64:
		return v, nil
	case string:
		return strconv.ParseFloat(v, 64)
	}
	return 0, fmt.Errorf("%s is %v", *s.Value, v)
}

// at follows a JSON Pointer (RFC 6901).
func at(v any, pointer string) (any, error) {
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		object, _ := v.(map[string]any)
		next, found := object[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
		if !found {
			text, _ := json.Marshal(v)
			return nil, fmt.Errorf("there is no %s in %.300s", pointer, text)
		}
		v = next
	}
	return v, nil
}

// busy gives a process in which a tenant has done something of everything, good and bad.
func busy(t *testing.T) (*harness.Process, *harness.Tenant) {
	t.Helper()
	s := harness.NewSystem(
		t,
		fakellm.Rule{Contains: "fail", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: http.StatusBadRequest}}},
		fakellm.Rule{Contains: "hang", Reply: fakellm.Reply{Hang: true}},
		harness.AsksHuman(),
	)
	s.Config.Models.Prices = llm.PriceTable{s.Config.Models.OpenAIModel: {Input: decimal.NewFromInt(1), Output: decimal.NewFromInt(2)}}
	good, bad := receiver(t, http.StatusOK), receiver(t, http.StatusInternalServerError)
	s.Config.AlertsWebhookURL = config.NewURL(good)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	for _, to := range []string{good, bad} {
		x.Do(t, "POST", "/v1/webhooks", map[string]any{"url": to, "events": []string{"run_completed"}}).Want(t, http.StatusCreated)
	}
	x.Do(t, "PUT", "/v1/tenants/"+x.ID.String()+"/quotas", map[string]any{"tokens_per_month": 1_000_000}).Want(t, http.StatusOK)
	x.OpenRun(t, map[string]any{"input": "hello", "webhook_url": good}).Rest(t)
	x.OpenRun(t, map[string]any{"input": "the sum, please"}).Rest(t)
	x.OpenRun(t, map[string]any{"input": "fail"}).Rest(t)
	x.OpenRun(t, map[string]any{"input": "hang", "timeout_seconds": 1}).Rest(t)
	stopped := x.StartRun(t, map[string]any{"input": "hang"})
	x.Do(t, "POST", "/v1/runs/"+stopped.ID.String()+"/cancel?wait=true", map[string]any{}).Want(t, http.StatusOK)
	x.StartRun(t, map[string]any{"input": "hang"}) // stays active
	x.Do(t, "GET", "/v1/schedules/"+uuid.NewString(), nil)
	x.Do(t, "POST", "/v1/control/daemon/pause", map[string]any{}).Want(t, http.StatusOK)
	x.Do(t, "POST", "/v1/runs", map[string]any{"input": "hello"}).WantProblem(t, http.StatusServiceUnavailable, "paused")
	return p, x
}

// receiver gives the URL of a webhook's receiver that answers with the status.
func receiver(t *testing.T, status int) string {
	t.Helper()
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(r.Close)
	return r.URL
}
