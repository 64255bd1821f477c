package rules

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

const (
	scraped = time.Second // a scrape may take no longer, with the race detector on a busy machine too
	warmFor = 2 * time.Second
	loadFor = 8 * time.Second
	within  = time.Minute
)

// estate is two processes with every role, two tenants that are loaded, and three servers that read the processes:
// as OpenMetrics and as protobuf with native histograms from the admin port, and as plain text, with a credential, from
// the API's.
type estate struct {
	system    *harness.System
	processes []*harness.Process
	admins    []string // their admin addresses, the instances of the first server
	tenants   []*harness.Tenant
	platform  harness.Tenant

	ran                atomic.Int64 // runs that were waited for
	open, native, text *prometheus
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	e := &estate{system: harness.NewSystem(t,
		fakellm.Rule{Contains: "slow", Reply: fakellm.Reply{Text: "In a while.", Delay: 120 * time.Millisecond}},
		fakellm.Rule{Contains: "middling", Reply: fakellm.Reply{Text: "Soon.", Delay: 40 * time.Millisecond}})}
	for range 2 {
		cfg := e.system.Config
		cfg.AdminAddr, cfg.Metrics.Native, cfg.Reconcile.Every = freeAddress(t), true, time.Second
		p := e.system.StartWith(t, cfg, harness.All)
		e.processes, e.admins = append(e.processes, p), append(e.admins, cfg.AdminAddr)
	}
	e.tenants = []*harness.Tenant{e.processes[0].NewTenant(t, agents.Config{}), e.processes[0].NewTenant(t, agents.Config{})}
	e.platform = *e.processes[0].NewTenant(t, agents.Config{}) // its scrapes are requests too, of a tenant that nobody looks at
	e.platform.Token = harness.Token(t, e.platform.ID, auth.RoleService)
	return e
}

// observe starts the servers. They find every series that the load will count in, with the same values: an increase is
// seen from the second point of a series on.
func (e *estate) observe(t *testing.T) {
	t.Helper()
	var proxies []string
	for _, p := range e.processes {
		proxies = append(proxies, plain(t, p.URL))
	}
	inside := func() map[string]string {
		return quick(map[string]string{
			`"lari-api-1:9464", "lari-api-2:9464"`: `"` + e.admins[0] + `"`, `"lari-worker-1:9464", "lari-worker-2:9464"`: `"` + e.admins[1] + `"`,
		})
	}
	e.open = serve(t, "OpenMetrics", "prometheus.yml", "", inside())
	e.native = serve(t, "native histograms", "prometheus.yml", "", inside(), "--enable-feature=native-histograms")
	e.text = serve(t, "plain text", "prometheus-api.yml", e.platform.Token, quick(map[string]string{
		"scheme: https": "scheme: http", `"lari-api-1.example.com", "lari-api-2.example.com"`: `"` + strings.Join(proxies, `", "`) + `"`,
	}))
	for _, p := range e.servers() {
		harness.Eventually(t, within, p.name+" has read both processes", func() bool {
			n, _ := p.number(t, "count(lari_reconciler_passes_total{outcome='completed'})")
			return n == 2
		})
	}
}

// quick adds to what is replaced in a configuration how often is scraped, and that nobody is told of alerts.
func quick(replace map[string]string) map[string]string {
	replace["scrape_interval: 15s"] = "scrape_interval: " + scraped.String()
	replace[`- static_configs: [{ targets: ["alertmanager:9093"] }]`] = "- static_configs: []"
	return replace
}

func (e *estate) servers() []*prometheus { return []*prometheus{e.open, e.native, e.text} }

// plain is a way to the API on which nobody asks for OpenMetrics, as 2.42 always does. It gives its address.
func plain(t *testing.T, api string) string {
	t.Helper()
	to, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&httputil.ReverseProxy{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Header.Set("Accept", "text/plain;version=0.0.4")
	}})
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// request is one of a mix: quick and slow ones, and some that find nothing.
func (e *estate) request(t *testing.T, n, from int) {
	t.Helper()
	x := *e.tenants[n%2]
	x.URL = e.processes[from%2].URL
	method, path, body, want := "GET", "/v1/agents", any(nil), 200
	switch k := n / 2 % 60; {
	case k == 0:
		method, path, body = "POST", "/v1/runs/wait", `{"input": "a slow one"}`
	case k == 1:
		method, path, body = "POST", "/v1/runs/wait", `{"input": "a middling one"}`
	case k < 10:
		path, want = "/v1/runs/0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f", 404
	case k < 30:
		path = "/v1/runs"
	}
	a, err := x.Try(t.Context(), method, path, body)
	if err != nil || a.Status != want {
		t.Errorf("%s %s: status %d, want %d, error %v", method, path, a.Status, want, err)
	}
	if method == "POST" {
		e.ran.Add(1)
	}
}

// load sends requests for a while, of both tenants to both processes.
func (e *estate) load(t *testing.T, d time.Duration) {
	t.Helper()
	var all sync.WaitGroup
	end := time.Now().Add(d)
	for worker := range 6 {
		all.Go(func() {
			for n := worker; time.Now().Before(end) && !t.Failed(); n += 7 {
				e.request(t, n, n/40+worker)
			}
		})
	}
	all.Wait()
}

// warm makes every series that the load will count in, and counts a good part of what it will in each. Which process
// executes a run is Temporal's choice.
func (e *estate) warm(t *testing.T) {
	t.Helper()
	for n := range 62 {
		for from := range 2 {
			e.request(t, n, from)
		}
	}
	e.load(t, warmFor)
	harness.Eventually(t, within, "both processes have executed runs of both tenants, and counted all", func() bool {
		everywhere, all := true, 0.0
		for _, admin := range e.admins {
			for _, x := range e.tenants {
				n := counted(t, "http://"+admin+"/metrics", "lari_run_duration_seconds", x.ID.String())
				everywhere, all = everywhere && n > 0, all+n
			}
		}
		if !everywhere {
			for n := range 2 {
				e.request(t, n, 0)
			}
		}
		return everywhere && all == float64(e.ran.Load())
	})
}

// settle waits until the last requests and runs have been scraped: what the processes count changes no more.
func (e *estate) settle(t *testing.T) {
	t.Helper()
	for _, metric := range []string{"lari_http_request_duration_seconds", "lari_run_duration_seconds", "lari_run_time_to_first_token_seconds"} {
		for _, x := range e.tenants {
			harness.Eventually(t, within, "the last of them is scraped", func() bool {
				var told float64
				for _, admin := range e.admins {
					told += counted(t, "http://"+admin+"/metrics", metric, x.ID.String())
				}
				open, _ := e.open.number(t, `sum(%s_count{tenant_id="%s"})`, metric, x.ID)
				text, _ := e.text.number(t, `sum(%s_count{tenant_id="%s"})`, metric, x.ID)
				native, _ := e.native.number(t, `sum(histogram_count(%s{tenant_id="%s"}))`, metric, x.ID)
				return told > 0 && open == told && text == told && native == told
			})
		}
	}
}

// counted adds up the observations of a tenant on a page of metrics.
func counted(t *testing.T, page, metric, tenant string) (sum float64) {
	t.Helper()
	_, body, err := get(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, metric+"_count{") && strings.Contains(line, `tenant_id="`+tenant+`"`) {
			var n float64
			if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &n); err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
