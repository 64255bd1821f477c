// This file is long because it is the one place where metrics are declared.

package telemetry

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	defaultMaxTenants = 1000
	defaultMaxSeries  = 100_000
	defaultWindow     = 5 * time.Minute
	// Bounds of the labels whose values the configuration or the code chooses: far above what is used.
	maxRoutes        = 500
	defaultMaxModels = 100
	defaultMaxTools  = 200
	maxWords         = 100 // statuses, outcomes, providers, connectors

	defaultNativeFactor  = 1.1
	defaultNativeBuckets = 100

	maxScrapes    = 4
	scrapeTimeout = 15 * time.Second
)

// Options of a process's metrics.
type Options struct {
	Off        bool          // export nothing, and keep no windows (LARI_METRICS=false)
	MaxTenants int           // tenants with labels of their own (LARI_METRICS_MAX_TENANTS); zero: 1000
	MaxSeries  int           // series that carry a tenant (LARI_METRICS_MAX_SERIES); zero: 100,000
	Window     time.Duration // of the quantiles (LARI_METRICS_WINDOW); zero: 5 minutes
	// Native keeps native histograms beside the classic buckets of requests, runs and models, and takes the quantiles
	// from them (LARI_METRICS_NATIVE_HISTOGRAMS).
	Native        bool
	NativeFactor  float64 // how much wider than the one before a native bucket is at most; zero: 1.1
	NativeBuckets int     // above which they are made wider; zero: 100
	MaxModels     int     // models with labels of their own; zero: 100
	MaxTools      int     // tools with labels of their own; zero: 200
	MaxActiveRuns *int    // series of lari_runs_active that carry a run's id; nil: 2000
	Buckets       Buckets
	Now           func() time.Time
}

// Metrics holds every metric of a process. All methods below it are safe for concurrent use and never
// fail; durations are given as such and exported in seconds.
type Metrics struct {
	HTTP       *HTTP
	Runs       *Runs
	Model      *Model
	Tools      *Tools
	Connectors *Connectors
	Schedules  *Schedules
	Reconciler *Reconciler
	Streams    *Streams
	Events     *Events
	Audit      *Audit
	Knowledge  *Knowledge
	Facts      *Facts

	registry *prometheus.Registry
	exported *prometheus.Registry // registry, or an empty one
	tenants  *labels
	off      bool

	window     *window
	quantiles  *quantileGauges
	exposition *exposition
}

// New declares the metrics in a registry of their own, beside those of the Go runtime and the process.
func New(o Options) *Metrics {
	o.complete()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	declare := promauto.With(registry)
	tenants := newLabels(o.MaxTenants) // one list for all metrics
	tenants.gate = newGate(o.MaxTenants, o.Window, o.Now)
	b := newBudget(o.MaxSeries)
	m := &Metrics{
		HTTP:       newHTTP(declare, tenants, b, &o),
		Runs:       newRuns(declare, tenants, b, &o),
		Model:      newModel(declare, tenants, b, &o),
		Tools:      newTools(declare, &o),
		Connectors: newConnectors(declare, &o),
		Schedules:  newSchedules(declare, tenants, b, &o),
		Reconciler: newReconciler(declare),
		Streams:    newStreams(declare),
		Events:     newEvents(declare),
		Audit:      newAudit(declare),
		Knowledge:  newKnowledge(declare),
		Facts:      newFacts(tenants, b, o.Now),
		registry:   registry,
		exported:   registry,
		tenants:    tenants,
		off:        o.Off,
	}
	if o.Off {
		m.exported = prometheus.NewRegistry()
	}
	m.window = newWindow(m, o)
	m.quantiles = newQuantileGauges(m.window, o.Now)
	m.exposition = newExposition(m.exported, o.Now)
	registry.MustRegister(m.Runs.active, m.quantiles, m.Facts)
	return m
}

func (o *Options) complete() {
	if o.MaxTenants <= 0 {
		o.MaxTenants = defaultMaxTenants
	}
	if o.MaxSeries <= 0 {
		o.MaxSeries = defaultMaxSeries
	}
	if o.Window <= 0 {
		o.Window = defaultWindow
	}
	for value, fallback := range map[*int]int{&o.NativeBuckets: defaultNativeBuckets, &o.MaxModels: defaultMaxModels, &o.MaxTools: defaultMaxTools} {
		if *value <= 0 {
			*value = fallback
		}
	}
	if o.NativeFactor <= 1 {
		o.NativeFactor = defaultNativeFactor
	}
	if o.MaxActiveRuns == nil {
		o.MaxActiveRuns = new(defaultMaxActiveRuns)
	}
	o.Buckets.complete()
	if o.Now == nil {
		o.Now = time.Now
	}
}

// native adds a native histogram to a classic one.
func (o *Options) native(h prometheus.HistogramOpts) prometheus.HistogramOpts {
	if o.Native {
		h.NativeHistogramBucketFactor, h.NativeHistogramMaxBucketNumber = o.NativeFactor, uint32(o.NativeBuckets) //nolint:gosec // G115: it is at most a thousand
	}
	return h
}

// firstTokenObjective is the time to first text, in seconds, that the alerts of deploy/prometheus count with: it
// is always the bound of a bucket.
const firstTokenObjective = 5

// withBound gives buckets among which the bound is.
func withBound(buckets []float64, bound float64) []float64 {
	at, found := slices.BinarySearch(buckets, bound)
	if found {
		return buckets
	}
	return slices.Insert(slices.Clone(buckets), at, bound)
}

// seriesOf is how many series a histogram of such buckets is: those, +Inf, the sum and the count.
func seriesOf(buckets []float64) int64 { return int64(len(buckets)) + 3 }

// On reports whether metrics are exported. Where they are not, requests need not be metered.
func (m *Metrics) On() bool { return !m.off }

// Registry gives the registry, for reading the metrics back and for collectors of other packages.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler serves the metrics in the text format of Prometheus, or as OpenMetrics 1.0 (with exemplars) to
// a client that accepts it.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.exported, promhttp.HandlerOpts{
		Registry:            m.exported,
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError, // one broken collector must not hide the others
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

func newHTTP(declare promauto.Factory, tenants *labels, b *budget, o *Options) *HTTP {
	buckets := o.Buckets.HTTP
	duration := declare.NewHistogramVec(o.native(prometheus.HistogramOpts{
		Name:    "lari_http_request_duration_seconds",
		Help:    "Time from the arrival of a request to the end of its response, by route pattern; beyond the budget of series a tenant's routes are _other, and the status is its class.",
		Buckets: buckets,
	}), []string{"tenant_id", "route", "method", "status"})
	byRoute := declare.NewHistogramVec(o.native(prometheus.HistogramOpts{
		Name:    "lari_http_route_duration_seconds",
		Help:    "Time from the arrival of a request to the end of its response, of all tenants together, by route pattern.",
		Buckets: buckets,
	}), []string{"route", "method", "status"})
	return &HTTP{
		now:     o.Now,
		tenants: tenants,
		routes:  newLabels(maxRoutes),
		duration: newBudgeted(httpRules(b, seriesOf(buckets)), func(k httpKey) prometheus.Observer {
			return newSparing(duration.WithLabelValues(k.tenant, k.route, k.method, statusText(k.status)), buckets)
		}),
		byRoute: newBudgeted(routeRules(b, seriesOf(buckets)), func(k httpKey) prometheus.Observer {
			return newSparing(byRoute.WithLabelValues(k.route, k.method, statusText(k.status)), buckets)
		}),
		inFlight: declare.NewGauge(prometheus.GaugeOpts{
			Name: "lari_http_requests_in_flight",
			Help: "Requests being answered now; a stream until its first byte (lari_streams_open has the others).",
		}),
	}
}

func newRuns(declare promauto.Factory, tenants *labels, b *budget, o *Options) *Runs {
	stops, waits, lengths := o.Buckets.Cancel, o.Buckets.QueueWait, o.Buckets.RunDuration
	firsts := withBound(o.Buckets.FirstToken, firstTokenObjective)
	started := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_runs_started_total",
		Help: "Runs that began to execute.",
	}, []string{"tenant_id"})
	finished := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_runs_finished_total",
		Help: "Runs that ended, by final status.",
	}, []string{"tenant_id", "status"})
	duration := declare.NewHistogramVec(o.native(prometheus.HistogramOpts{
		Name:    "lari_run_duration_seconds",
		Help:    "Time from the creation of a run to its end, by final status.",
		Buckets: lengths,
	}), []string{"tenant_id", "status"})
	wait := declare.NewHistogramVec(o.native(prometheus.HistogramOpts{
		Name:    "lari_run_queue_wait_seconds",
		Help:    "Time from the creation of a run to its start.",
		Buckets: waits,
	}), []string{"tenant_id"})
	firstToken := declare.NewHistogramVec(o.native(prometheus.HistogramOpts{
		Name:    "lari_run_time_to_first_token_seconds",
		Help:    "Time from the creation of a run to the first text of its answer.",
		Buckets: firsts,
	}), []string{"tenant_id"})
	stopped := declare.NewHistogramVec(o.native(prometheus.HistogramOpts{
		Name:    "lari_run_cancel_to_stopped_seconds",
		Help:    "Time from the request to cancel a run to its end.",
		Buckets: stops,
	}), []string{"tenant_id"})
	return &Runs{
		tenants:    tenants,
		statuses:   newLabels(maxWords),
		started:    newBudgeted(plainRules(b, 1), func(tenant string) prometheus.Counter { return started.WithLabelValues(tenant) }),
		finished:   newBudgeted(outcomeRules(b, 1), func(k outcomeKey) prometheus.Counter { return finished.WithLabelValues(k.name, k.outcome) }),
		duration:   newBudgeted(outcomeRules(b, seriesOf(lengths)), func(k outcomeKey) prometheus.Observer { return duration.WithLabelValues(k.name, k.outcome) }),
		wait:       newBudgeted(plainRules(b, seriesOf(waits)), func(tenant string) prometheus.Observer { return wait.WithLabelValues(tenant) }),
		firstToken: newBudgeted(plainRules(b, seriesOf(firsts)), func(tenant string) prometheus.Observer { return firstToken.WithLabelValues(tenant) }),
		stopped:    newBudgeted(plainRules(b, seriesOf(stops)), func(tenant string) prometheus.Observer { return stopped.WithLabelValues(tenant) }),
		active: newActiveRuns(tenants, *o.MaxActiveRuns, prometheus.NewDesc("lari_runs_active",
			"Runs that have started and not ended, one series each; what is above the bound is counted in run_id _other.",
			[]string{"tenant_id", "workspace_id", "run_id"}, nil)),
	}
}

func newModel(declare promauto.Factory, tenants *labels, b *budget, o *Options) *Model {
	tokens := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_model_tokens_total",
		Help: "Tokens that models were billed for, by direction (input, output).",
	}, []string{"tenant_id", "provider", "model", "direction"})
	cost := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_model_cost_usd_total",
		Help: "Price of the tokens in US dollars, as far as the model has a price.",
	}, []string{"tenant_id", "provider", "model"})
	duration := declare.NewHistogramVec(o.native(prometheus.HistogramOpts{
		Name:    "lari_model_call_duration_seconds",
		Help:    "Time of a whole turn of a model that ended well.",
		Buckets: o.Buckets.ModelCall,
	}), []string{"provider", "model"})
	failures := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_model_errors_total",
		Help: "Turns of a model that failed, by class of failure.",
	}, []string{"provider", "model", "class"})
	return &Model{
		tenants: tenants,
		words:   newLabels(maxWords),
		models:  newLabels(o.MaxModels),
		tokens: newBudgeted(tokensRules(b), func(k tokensKey) prometheus.Counter {
			return tokens.WithLabelValues(k.tenant, k.provider, k.model, k.direction)
		}),
		cost: newBudgeted(tokensRules(b), func(k tokensKey) prometheus.Counter {
			return cost.WithLabelValues(k.tenant, k.provider, k.model)
		}),
		duration: newHandles(func(k modelKey) prometheus.Observer { return duration.WithLabelValues(k.provider, k.model) }),
		failures: newHandles(func(k modelKey) prometheus.Counter {
			return failures.WithLabelValues(k.provider, k.model, k.class)
		}),
	}
}

func newTools(declare promauto.Factory, o *Options) *Tools {
	calls := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_tool_calls_total",
		Help: "Calls of tools, by outcome.",
	}, []string{"tool", "outcome"})
	duration := declare.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "lari_tool_call_duration_seconds",
		Help:    "Time of a call of a tool, whatever its outcome.",
		Buckets: o.Buckets.ToolCall,
	}, []string{"tool"})
	return &Tools{
		tools:    newLabels(o.MaxTools),
		outcomes: newLabels(maxWords),
		calls:    newHandles(func(k outcomeKey) prometheus.Counter { return calls.WithLabelValues(k.name, k.outcome) }),
		duration: newHandles(func(tool string) prometheus.Observer { return duration.WithLabelValues(tool) }),
	}
}

func newConnectors(declare promauto.Factory, o *Options) *Connectors {
	attempts := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_connector_attempts_total",
		Help: "Attempts to hand a lifecycle event to a connector, by hook and outcome.",
	}, []string{"connector", "hook", "outcome"})
	lag := declare.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "lari_connector_lag_seconds",
		Help:    "Time from a lifecycle event to its successful delivery.",
		Buckets: o.Buckets.ConnectorLag,
	}, []string{"connector"})
	return &Connectors{
		words: newLabels(maxWords),
		attempts: newHandles(func(k attemptKey) prometheus.Counter {
			return attempts.WithLabelValues(k.connector, k.hook, k.outcome)
		}),
		lag: newHandles(func(connector string) prometheus.Observer { return lag.WithLabelValues(connector) }),
	}
}

func newSchedules(declare promauto.Factory, tenants *labels, b *budget, o *Options) *Schedules {
	lags := o.Buckets.ScheduleLag
	firings := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_schedule_firings_total",
		Help: "Firings of schedules, by outcome: started, refused, cancelled, skipped because a run went on, missed because the platform was away. The reason is the code of a refusal. Those that were skipped or missed are counted by the process that notices, some minutes later.",
	}, []string{"tenant_id", "outcome", "reason"})
	lag := declare.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "lari_schedule_firing_lag_seconds",
		Help:    "Time from a firing's time in the schedule to the acceptance of its run; jitter, waiting for an earlier run and pauses of the platform included, triggers and backfills left out.",
		Buckets: lags,
	}, []string{"tenant_id"})
	return &Schedules{
		tenants: tenants,
		words:   newLabels(maxWords),
		firings: newBudgeted(firingRules(b), func(k firingKey) prometheus.Counter {
			return firings.WithLabelValues(k.tenant, k.outcome, k.reason)
		}),
		lag: newBudgeted(plainRules(b, seriesOf(lags)), func(tenant string) prometheus.Observer { return lag.WithLabelValues(tenant) }),
	}
}

func newReconciler(declare promauto.Factory) *Reconciler {
	found := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_reconciler_found_total",
		Help: "Runs that did not stand as their workflow does, by what became of it; stuck ones are counted by every pass that sees them.",
	}, []string{"workflow"})
	passes := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_reconciler_passes_total",
		Help: "Passes of the reconciler, by outcome (completed, failed); failed ones are made again. Absent where none are to be made.",
	}, []string{"outcome"})
	return &Reconciler{
		words:  newLabels(maxWords),
		passes: newHandles(func(outcome string) prometheus.Counter { return passes.WithLabelValues(outcome) }),
		found:  newHandles(func(ending string) prometheus.Counter { return found.WithLabelValues(ending) }),
		untold: declare.NewCounter(prometheus.CounterOpts{Name: "lari_reconciler_announced_total", Help: "Ends of runs that connectors were told late, after a crash."}),
	}
}

func newStreams(declare promauto.Factory) *Streams {
	transport := []string{"transport"}
	open := declare.NewGaugeVec(prometheus.GaugeOpts{
		Name: "lari_streams_open",
		Help: "Clients that follow a run now, by transport.",
	}, transport)
	delivered := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_stream_events_delivered_total",
		Help: "Events written to clients, replayed ones included.",
	}, transport)
	replayed := declare.NewCounterVec(prometheus.CounterOpts{
		Name: "lari_stream_events_replayed_total",
		Help: "Events read from the log for a client, when it joined or had fallen behind.",
	}, transport)
	return &Streams{
		transports: newLabels(maxWords),
		open:       newHandles(func(transport string) prometheus.Gauge { return open.WithLabelValues(transport) }),
		delivered:  newHandles(func(transport string) prometheus.Counter { return delivered.WithLabelValues(transport) }),
		replayed:   newHandles(func(transport string) prometheus.Counter { return replayed.WithLabelValues(transport) }),
	}
}

func newEvents(declare promauto.Factory) *Events {
	return &Events{
		batch: declare.NewHistogram(prometheus.HistogramOpts{
			Name:    "lari_event_append_batch_size",
			Help:    "Events appended to the log in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		duration: declare.NewHistogram(prometheus.HistogramOpts{
			Name:    "lari_event_append_duration_seconds",
			Help:    "Time of a transaction that appends to the log.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
	}
}

func newAudit(declare promauto.Factory) *Audit {
	return &Audit{
		batch: declare.NewHistogram(prometheus.HistogramOpts{
			Name:    "lari_audit_append_batch_size",
			Help:    "Entries appended to audit trails in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		duration: declare.NewHistogram(prometheus.HistogramOpts{
			Name:    "lari_audit_append_duration_seconds",
			Help:    "Time of a transaction that appends to audit trails.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		lost: declare.NewCounter(prometheus.CounterOpts{
			Name: "lari_audit_entries_lost_total",
			Help: "Entries that could not be kept in an audit trail; the log holds them. Anything above zero needs a look.",
		}),
	}
}

func newStreamDescs() streamDescs {
	return streamDescs{
		clients: prometheus.NewDesc("lari_streams_behind", "Clients that follow a run and have not been sent all of its events that this process has heard of.", nil, nil),
		events:  prometheus.NewDesc("lari_stream_events_behind", "Events that these clients have not been sent, together.", nil, nil),
	}
}

// poolDescs are the metrics of a pool of database connections.
func poolDescs(pool string) poolMetrics {
	name := prometheus.Labels{"pool": pool}
	desc := func(metric, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("lari_postgres_pool_"+metric, help, variable, name)
	}
	return poolMetrics{
		connections: desc("connections", "Connections, by state (acquired, idle, constructing).", "state"),
		limit:       desc("max_connections", "Connections that the pool may open."),
		acquires:    desc("acquires_total", "Connections handed out."),
		waited:      desc("waited_acquires_total", "Connections handed out after waiting because none was idle."),
		cancelled:   desc("cancelled_acquires_total", "Waits for a connection that the caller gave up."),
		waitSeconds: desc("acquire_wait_seconds_total", "Time spent waiting because no connection was idle."),
		opened:      desc("opened_connections_total", "Connections opened."),
		retired:     desc("retired_connections_total", "Connections closed, by reason (age, idle).", "reason"),
	}
}

func newQuantileDescs() quantileDescs {
	labels := []string{"tenant_id", "quantile"}
	desc := func(name, of string) *prometheus.Desc {
		return prometheus.NewDesc(name, "Quantiles of "+of+" within the last minutes (LARI_METRICS_WINDOW), of this process, as histogram_quantile gives them.", labels, nil)
	}
	return quantileDescs{
		http:       desc("lari_http_request_duration_quantile_seconds", "lari_http_request_duration_seconds"),
		run:        desc("lari_run_duration_quantile_seconds", "lari_run_duration_seconds"),
		wait:       desc("lari_run_queue_wait_quantile_seconds", "lari_run_queue_wait_seconds"),
		firstToken: desc("lari_run_time_to_first_token_quantile_seconds", "lari_run_time_to_first_token_seconds"),
	}
}

func newKnowledge(declare promauto.Factory) *Knowledge {
	search := declare.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "lari_knowledge_search_duration_seconds",
		Help:    "Time of a search in a tenant's knowledge, by outcome.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"outcome"})
	return &Knowledge{search: newHandles(func(outcome string) prometheus.Observer { return search.WithLabelValues(outcome) })}
}

func newFactDescs() factDescs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	const everywhere = " Of the whole system, so every process exports the same: take the maximum."
	return factDescs{
		queued:    desc("lari_runs_queued", "Runs that may begin and have not."+everywhere),
		waiting:   desc("lari_runs_oldest_queued_seconds", "How long the first of them could have begun."+everywhere),
		tasks:     desc("lari_task_queue_backlog", "Tasks that wait for a worker, about, as Temporal knows it."+everywhere, "task_queue"),
		wait:      desc("lari_task_queue_oldest_wait_seconds", "How long the oldest of these tasks has waited, about."+everywhere, "task_queue"),
		workers:   desc("lari_task_queue_workers", "Worker processes that asked for such tasks within the last 70 seconds."+everywhere, "task_queue"),
		held:      desc("lari_runs_held", "Runs that are accepted and held back, by what holds them."+everywhere, "reason"),
		disabled:  desc("lari_webhook_endpoints_disabled", "Webhook endpoints that are disabled."+everywhere),
		pending:   desc("lari_deliveries_pending", "Deliveries of events to remote connectors that are still tried."+everywhere),
		oldest:    desc("lari_deliveries_oldest_pending_seconds", "Age of the oldest delivery that is still tried."+everywhere),
		used:      desc("lari_quota_used", "What a tenant that was active in the last minutes has used of a quota: runs, tokens, US dollars or requests.", "tenant_id", "quota"),
		limit:     desc("lari_quota_limit", "What such a tenant may use of a quota; absent where there is no limit.", "tenant_id", "quota"),
		schedules: desc("lari_schedules", "Schedules, by state (active, paused, ended, missing in Temporal), as they were last seen."+everywhere, "tenant_id", "state"),
	}
}
