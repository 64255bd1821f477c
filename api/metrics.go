package api

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/telemetry"
)

const (
	tagMetrics       = "metrics"
	mediaPrometheus  = "text/plain"
	mediaOpenMetrics = "application/openmetrics-text"
	// scrapeLimit is for the turn of a scrape to come, and for writing it.
	scrapeLimit = 15 * time.Second
)

// MetricsRoutes is the family of what a process measured. process is how it calls itself; public leaves
// the exposition, and nothing else, open to everybody.
func MetricsRoutes(metrics *telemetry.Metrics, process string, public bool) []Route {
	h := metricsHandlers{metrics: metrics, process: process, public: public}
	permission := auth.AnalyticsRead
	if public {
		permission = auth.Public
	}
	return []Route{
		Handle("GET", "/v1/metrics/quantiles", auth.AnalyticsRead, Meta{
			ID: "getQuantiles", Tag: tagMetrics, Summary: "Give the quantiles of the last minutes",
			Description: "How long the tenant's requests and runs took within a sliding window, and how many failed, as the process that answers measured it: behind a load balancer each request may ask another one. " +
				"Quantiles are interpolated from the buckets of histograms as Prometheus' `histogram_quantile` does it; above the last bound it is that bound. " +
				"When there are more tenants and routes than the process keeps apart, requests are counted under the route `_other`, and `labelled` is false where nothing is known of the tenant alone.",
		}, h.quantiles),
		Handle("GET", "/v1/analytics/prometheus", permission, Meta{
			ID: "getMetrics", Tag: tagMetrics, Summary: "Expose metrics to Prometheus", Timeout: scrapeLimit, Anywhere: !public, Produces: mediaPrometheus + ", " + mediaOpenMetrics,
			Description: "The series whose `tenant_id` is the caller's tenant; the platform (`service_role`) sees all, also those that belong to no tenant. " +
				"With `Accept: " + mediaOpenMetrics + "` the answer is OpenMetrics 1.0, with exemplars. What is measured is of the process that answers; at most a second old.",
			Examples: map[string]string{
				mediaPrometheus:  "# HELP lari_runs_started_total Runs that began to execute.\n# TYPE lari_runs_started_total counter\n" + startedExample,
				mediaOpenMetrics: "# HELP lari_runs_started Runs that began to execute.\n# TYPE lari_runs_started counter\n" + startedExample + "# EOF\n",
			},
		}, h.expose),
	}
}

const startedExample = "lari_runs_started_total{tenant_id=\"0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f\"} 12\n"

type metricsHandlers struct {
	metrics *telemetry.Metrics
	process string
	public  bool
}

type getMetrics struct {
	Accept string `header:"Accept"`
}

func (h metricsHandlers) expose(ctx context.Context, in *getMetrics) (Raw, error) {
	tenant, err := h.seen(ctx)
	if err != nil {
		return Raw{}, err
	}
	contentType, page, err := h.metrics.Expose(ctx, tenant, in.Accept)
	if err != nil {
		return Raw{}, err
	}
	return Raw{ContentType: contentType, Body: page, Header: map[string]string{"Vary": "Accept", "Cache-Control": "no-store"}}, nil
}

// seen gives the tenant whose series the caller sees.
func (h metricsHandlers) seen(ctx context.Context) (string, error) {
	if h.public || auth.From(ctx).Service {
		return telemetry.Everyone, nil
	}
	tenant := scope.Tenant(ctx)
	if tenant == uuid.Nil {
		return "", fault.New(fault.Malformed, "You belong to several tenants: name one in %s.", auth.TenantHeader)
	}
	return tenant.String(), nil
}

type quantilesView struct {
	Process       string       `json:"process" required:"true" description:"The process that measured."`
	From          clock.Time   `json:"from" required:"true" description:"Beginning of the window: later than its length ago where the process is younger."`
	To            clock.Time   `json:"to" required:"true" description:"End of the window: now."`
	WindowSeconds float64      `json:"window_seconds" required:"true" description:"From the one to the other."`
	Labelled      bool         `json:"labelled" required:"true" description:"The process counts the tenant by itself."`
	HTTP          timingView   `json:"http" required:"true" description:"All requests."`
	Routes        []routeView  `json:"routes" required:"true" description:"Requests by route and method."`
	Runs          timingView   `json:"runs" required:"true" description:"Runs that ended, from their creation on. An error is one that failed or ran out of time."`
	QueueWait     durationView `json:"queue_wait" required:"true" description:"Runs that started: how long they had waited."`
	FirstToken    durationView `json:"time_to_first_token" required:"true" description:"Runs that showed their first text: how long after their creation."`
}

type durationView struct {
	Count         float64  `json:"count" required:"true" description:"How many there were."`
	RatePerSecond float64  `json:"rate_per_second" required:"true" description:"The same by second."`
	P50           *float64 `json:"p50_seconds" required:"true" description:"Half took no longer; null when there were none."`
	P95           *float64 `json:"p95_seconds" required:"true" description:"95 % took no longer."`
	P99           *float64 `json:"p99_seconds" required:"true" description:"99 % took no longer."`
}

type timingView struct {
	durationView
	ErrorShare *float64 `json:"error_share" required:"true" description:"Share of them that failed, 0 to 1: for requests, answers with a 5xx status."`
}

type routeView struct {
	Route  string `json:"route" required:"true" description:"Pattern of the route." example:"/v1/runs/{run_id}"`
	Method string `json:"method" required:"true" description:"Its method." example:"GET"`
	timingView
}

func (h metricsHandlers) quantiles(ctx context.Context, _ *None) (quantilesView, error) {
	r := h.metrics.Report(scope.Tenant(ctx).String())
	span := r.To.Sub(r.From).Seconds()
	v := quantilesView{
		Process: h.process, From: clock.Time{Time: r.From}, To: clock.Time{Time: r.To}, WindowSeconds: span, Labelled: r.Labelled,
		HTTP: timingOf(r.HTTP, span), Routes: make([]routeView, 0, len(r.Routes)), Runs: timingOf(r.Runs, span),
		QueueWait: durationOf(r.QueueWait, span), FirstToken: durationOf(r.FirstToken, span),
	}
	for _, f := range r.Routes {
		v.Routes = append(v.Routes, routeView{Route: f.Route, Method: f.Method, timingView: timingOf(f.Figures, span)})
	}
	return v, nil
}

func durationOf(f telemetry.Figures, span float64) durationView {
	v := durationView{Count: f.Count, P50: f.P50, P95: f.P95, P99: f.P99}
	if span > 0 {
		v.RatePerSecond = f.Count / span
	}
	return v
}

func timingOf(f telemetry.Figures, span float64) timingView {
	v := timingView{durationView: durationOf(f, span)}
	if f.Count > 0 {
		share := f.Errors / f.Count
		v.ErrorShare = &share
	}
	return v
}
