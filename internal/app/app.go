// Package app is the composition root: it joins the parts of a process and runs its roles.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/connectors"
	auditconnector "github.com/larirun/lari/connectors/audit"
	telemetryconnector "github.com/larirun/lari/connectors/telemetry"
	"github.com/larirun/lari/connectors/webhook"
	"github.com/larirun/lari/deploy/supabase"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/analytics"
	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/control"
	"github.com/larirun/lari/internal/deliveries"
	"github.com/larirun/lari/internal/engine"
	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/knowledge"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/egress"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/internal/quotas"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/schedules"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/internal/threads"
	"github.com/larirun/lari/internal/tools"
	"github.com/larirun/lari/internal/webhooks"
	"github.com/larirun/lari/workflows"
)

// Options say what a process is to be beside its configuration.
type Options struct {
	API    bool
	Worker bool
	// Connectors are registered after the program's own. Every worker of a system needs the same ones.
	Connectors []connectors.RuntimeConnector
}

// App is a process's parts, joined. Run runs its roles; Close gives back what New took.
type App struct {
	Tenants    *tenants.Service
	Agents     *agents.Service
	Threads    *threads.Service
	Runs       *runs.Service
	Log        *runs.Log
	Knowledge  *knowledge.Service
	Deliveries *deliveries.Service
	Webhooks   *webhooks.Service
	Schedules  *schedules.Service
	Control    *control.Service
	Quotas     *quotas.Service
	Deletion   *tenants.Deletions
	Analytics  *analytics.Service
	DB         *postgres.DB
	Metrics    *telemetry.Metrics

	cfg        config.Config
	options    Options
	log        *slog.Logger
	datadog    *telemetry.DogStatsD
	tracer     *tracing.Tracer // nil: nothing is traced
	temporal   client.Client
	engine     *engine.Engine
	callbacks  *engine.Callbacks // nil: Temporal does not tell
	verifier   *auth.Verifier
	keys       *idempotency.Keys
	apiKeys    *auth.Keys
	audit      *audit.Service
	models     *llm.Router
	anchors    *audit.Anchors // nil: nothing is signed
	activities *activities.Activities
	migrations []postgres.Migration
	closers    []func()
}

// New joins the parts. It connects to nothing yet: a database or Temporal that is away is reported by
// the readiness probe and waited for.
func New(ctx context.Context, cfg config.Config, o Options, log *slog.Logger) (_ *App, err error) {
	a := &App{cfg: cfg, options: o, log: log, Metrics: newMetrics(cfg.Metrics)}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if a.models, err = models(cfg.Models); err != nil {
		return nil, err
	}
	a.datadog, err = telemetry.NewDogStatsD(telemetry.DogStatsDOptions{
		Network: cfg.DogStatsD.Network(), Address: cfg.DogStatsD.Address(), MaxTenants: cfg.Metrics.MaxTenants, Log: log,
	})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() { closeQuietly(a.datadog) })
	if err := a.joinTracing(ctx); err != nil {
		return nil, err
	}
	if a.migrations, err = postgres.ReadMigrations(supabase.Migrations); err != nil {
		return nil, err
	}
	if a.DB, err = postgres.Open(ctx, postgres.Config{URL: cfg.DatabaseURL.Reveal(), Pooled: cfg.Pooled(), MaxConns: cfg.DatabaseMaxConns}, log); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.DB.Close)
	if err := a.Metrics.WatchPool("main", a.DB.Stat); err != nil {
		return nil, err
	}
	if err := a.dialTemporal(); err != nil {
		return nil, err
	}
	a.engine = engine.New(engine.Options{
		Client: a.temporal, Namespace: cfg.Temporal.Namespace, UIURL: cfg.Temporal.UIURL, Eager: o.API && o.Worker,
		StepsPerExecution: cfg.Worker.StepsPerExecution, Traced: a.tracer != nil,
	})
	if err := a.joinDomains(); err != nil {
		return nil, err
	}
	if !o.API {
		return a, nil
	}
	a.verifier, err = auth.NewVerifier(auth.Config{
		HS256Secret: []byte(cfg.Auth.JWTSecret.Reveal()), JWKSURL: cfg.Auth.JWKSURL, Issuer: cfg.Auth.Issuer, Audience: cfg.Auth.Audience, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, a.verifier.Close)
	return a, nil
}

func (a *App) dialTemporal() error {
	plugin, err := workflows.Plugin(a.tracing()...)
	if err != nil {
		return fmt.Errorf("make the lifecycle plugin: %w", err)
	}
	tls, err := a.cfg.Temporal.TLSConfig()
	if err != nil {
		return fmt.Errorf("temporal: %w", err)
	}
	metrics, flush := a.Metrics.Temporal(a.log)
	options := client.Options{
		HostPort: a.cfg.Temporal.Address, Namespace: a.cfg.Temporal.Namespace, Logger: telemetry.TemporalLogger(a.log),
		MetricsHandler: metrics, Plugins: []client.Plugin{plugin}, ConnectionOptions: client.ConnectionOptions{TLS: tls},
	}
	if url := a.cfg.Reconcile.CallbackURL.Reveal(); url != "" {
		a.callbacks = engine.NewCallbacks(url, a.cfg.Reconcile.CallbackSecret.Reveal(), a.log)
		options.ConnectionOptions.DialOptions = []grpc.DialOption{a.callbacks.DialOption()}
	}
	if !a.cfg.Temporal.APIKey.Empty() {
		options.Credentials = client.NewAPIKeyStaticCredentials(a.cfg.Temporal.APIKey.Reveal())
	}
	if !a.cfg.Temporal.Encrypted() { // a server nearby: what travels is ids, and packing them costs more than it saves
		options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	}
	if a.temporal, err = client.NewLazyClient(options); err != nil {
		closeQuietly(flush)
		return fmt.Errorf("prepare the connection to Temporal: %w", err)
	}
	a.closers = append(a.closers, func() { closeQuietly(flush) }, a.temporal.Close)
	return nil
}

func closeQuietly(c io.Closer) { _ = c.Close() }

func (a *App) joinDomains() error {
	m := meter{a.Metrics, a.datadog}
	a.Tenants = tenants.NewService(a.DB, tenants.WithProvisioning(a.createAssistant))
	a.Threads = threads.NewService(a.DB)
	a.Knowledge = knowledge.NewService(a.DB)
	a.Quotas = quotas.NewService(a.DB)
	a.Analytics = analytics.NewService(a.DB, a.log)
	a.keys = idempotency.New(a.DB, a.log)
	anchors, err := a.newAnchors()
	if err != nil {
		return err
	}
	a.anchors = anchors
	a.audit = audit.NewService(a.DB, a.Metrics.Audit, anchors, a.log)
	guarded := egress.New(egress.Config{Allow: a.cfg.EgressAllow, AllowHTTP: a.cfg.EgressAllowHTTP, Timeout: webhook.AttemptLimit + webhookMargin})
	browsing := egress.New(egress.Config{Allow: a.cfg.EgressAllow, AllowHTTP: a.cfg.EgressAllowHTTP, MaxRedirects: tools.HTTPGetRedirects})
	a.closers = append(a.closers, guarded.Close, browsing.Close)
	registry, err := tools.New(tools.NewCurrentTime(time.Now), tools.NewCalculator(), tools.NewHTTPGet(browsing), tools.NewKnowledgeSearch(searcher{a.Knowledge, a.Metrics.Knowledge}))
	if err != nil {
		return err
	}
	if a.Agents, err = agents.NewService(a.DB, toolNames{registry}); err != nil {
		return err
	}
	a.Agents.Models = modelCheck{a.models}
	slugs, err := newTenantSlugs(a.Tenants)
	if err != nil {
		return err
	}
	hooks := connectors.NewRegistry(a.engine, m, a.log)
	a.Deliveries = deliveries.NewService(a.DB, deliveryEngine{a.engine}, a.log)
	a.Log = runs.NewLog(a.DB, m, a.Metrics.Events.Appended, a.log)
	if err := a.Metrics.WatchStreams(a.Log.Behind); err != nil {
		return err
	}
	a.Runs = runs.NewService(runs.Deps{
		DB: a.DB, Log: a.Log, Agents: agentPort{a.Agents, slugs, modelCheck{a.models}}, Threads: threadPort{a.Threads}, Engine: a.engine, Announcer: announcer{hooks},
		Outbox: outbox{hooks, a.Deliveries}, Ledger: a.Quotas, Logger: a.log, Observer: m,
		CheckURL: func(raw string) error {
			_, err := guarded.ParseURL(raw)
			return err
		},
	})
	a.joinSchedules(m)
	if err := a.joinControl(); err != nil {
		return err
	}
	if err := a.register(hooks, guarded, m); err != nil {
		return err
	}
	if err := a.joinDeletions(); err != nil {
		return err
	}
	if a.apiKeys, err = a.newKeys(); err != nil {
		return err
	}
	a.activities = &activities.Activities{
		Runs: a.Runs, Deliveries: a.Deliveries, Quotas: a.Quotas, Deletion: a.Deletion, Log: a.Log, Agents: a.Agents, Threads: a.Threads, Models: a.models, Prices: a.cfg.Models.Prices,
		Tools: registry, Connectors: hooks, Heart: a.temporal, Haste: activities.NewHaste(), DrainTime: drainTime(a.cfg.Limits.ShutdownTimeout), Observer: m, Logger: a.log,
		Schedules: a.Schedules, StepsPerExecution: a.cfg.Worker.StepsPerExecution,
	}
	return nil
}

// drainTime is how long activities of a stopping worker may go on: what is left is for writing down where
// they stood, and for telling Temporal to give them to another worker.
func drainTime(shutdown time.Duration) time.Duration { return max(shutdown-8*time.Second, shutdown/2) }

// register is the list of this program's connectors, in the order in which they are told.
func (a *App) register(hooks *connectors.Registry, guarded *egress.Client, m meter) error {
	hooked, err := a.webhookConnectors(guarded)
	if err != nil {
		return err
	}
	for _, c := range slices.Concat([]connectors.RuntimeConnector{
		auditconnector.New(trail{a.audit}, a.Runs), telemetryconnector.New(m),
	}, hooked, a.options.Connectors) {
		if err := hooks.RegisterConnector(c); err != nil {
			return err
		}
	}
	return nil
}

// Close gives back what New took, the last first.
func (a *App) Close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

// listen opens a port; a taken one gets a sentence that says what to do.
func listen(ctx context.Context, addr, variable string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("the address %s is not free (%w): stop what uses it, or set %s to another", addr, errors.Unwrap(err), variable)
	}
	return l, nil
}
