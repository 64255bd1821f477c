package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/api"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/ratelimit"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/worker"
)

// idempotencyTTL is how long the first answer to an Idempotency-Key is kept.
const idempotencyTTL = 24 * time.Hour

// Run runs the process's roles until ctx ends or one fails. Then it stops them in the order that loses
// nothing: no more requests, no more tasks, and last what writes the event log and the audit trail. ready is called
// once the API accepts requests (at once for a process without one), with its base URL.
func (a *App) Run(ctx context.Context, ready func(apiURL string)) error {
	// Ports first: what begins here has to be stopped again, a port that is taken is known at once.
	var listener net.Listener
	if a.options.API {
		var err error
		if listener, err = listen(ctx, a.cfg.HTTPAddr, "LARI_HTTP_ADDR"); err != nil {
			return err
		}
	}
	if a.cfg.AdminAddr != "" {
		admin := telemetry.NewAdmin(telemetry.AdminOptions{Addr: a.cfg.AdminAddr, Metrics: a.Metrics.Handler(), Ready: a.Ready, Callback: a.Callback(), Log: a.log})
		if err := admin.Start(ctx); err != nil {
			if listener != nil {
				_ = listener.Close()
			}
			return err
		}
		defer func() { a.bounded(ctx, admin.Close) }()
	}

	logging, stopLogging := context.WithCancel(context.WithoutCancel(ctx))
	var writers sync.WaitGroup
	writers.Go(func() { a.Log.RunAppender(logging) })
	writers.Go(func() { a.audit.RunAppender(logging) })
	writers.Go(func() { a.Log.Listener(a.cfg.DatabaseDirectURL.Reveal()).Run(logging) })
	defer writers.Wait()
	defer stopLogging()

	if a.options.Worker {
		writers.Go(func() { a.stopListener().Run(logging) })
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if !a.insist(ctx, "Temporal cannot be prepared yet", func() error { return a.engine.Prepare(ctx) }) {
			return nil
		}
		if a.options.Worker {
			return a.runWorker(ctx)
		}
		return nil
	})
	if a.cfg.Reconcile.Every > 0 {
		a.Metrics.Reconciler.Expect()
	}
	if a.options.Worker && a.cfg.Reconcile.Every > 0 {
		group.Go(func() error {
			a.insist(ctx, "the reconciler cannot be scheduled yet", func() error { return a.engine.ScheduleReconciler(ctx, a.cfg.Reconcile.Every) })
			return nil
		})
	}
	group.Go(func() error {
		a.Runs.RunDispatcher(ctx)
		return nil
	})
	group.Go(func() error {
		a.Schedules.RunSweeper(ctx)
		return nil
	})
	if a.Metrics.On() {
		a.watchSchedules(ctx, group)
		group.Go(func() error {
			a.showFacts(ctx)
			return nil
		})
	}
	group.Go(func() error {
		a.Deliveries.RunCourier(ctx)
		return nil
	})
	group.Go(func() error {
		a.Analytics.RunRoller(ctx)
		return nil
	})
	group.Go(func() error {
		a.Metrics.RunWindow(ctx)
		return nil
	})
	group.Go(func() error {
		a.showActive(ctx)
		return nil
	})
	group.Go(func() error {
		a.Deletion.RunStarter(ctx)
		return nil
	})
	if a.options.API {
		a.runKeys(ctx, group)
		a.runAnchors(ctx, group)
		group.Go(func() error { return a.runAPI(ctx, listener) })
		group.Go(func() error {
			a.sweepKeys(ctx)
			return nil
		})
		ready("http://" + listener.Addr().String())
	} else {
		ready("")
	}
	return group.Wait()
}

// stopListener hears which runs were asked to stop.
func (a *App) stopListener() postgres.Listener {
	ignore := func() {} // what is missed is heard with the next heartbeat
	return postgres.Listener{
		URL: a.cfg.DatabaseDirectURL.Reveal(), Channel: runs.StopChannel, Connected: ignore, Disconnected: ignore, Log: a.log,
		Notified: func(payload string) {
			if run, err := uuid.Parse(payload); err == nil {
				a.activities.Haste.Hurry(run)
			}
		},
	}
}

// Callback hears Temporal say that the workflow of a run closed; nil when it was not asked to.
func (a *App) Callback() http.Handler {
	if a.callbacks == nil {
		return nil
	}
	return a.callbacks.Handler(func(ctx context.Context, tenant, run uuid.UUID) error {
		return a.Runs.Settle(scope.With(ctx, scope.Scope{Tenant: tenant, Actor: "system"}), run)
	})
}

// bounded gives a part time to stop, counted from now and not from a context that has ended.
func (a *App) bounded(ctx context.Context, stop func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.Limits.ShutdownTimeout)
	defer cancel()
	if err := stop(ctx); err != nil {
		a.log.WarnContext(ctx, "a part did not stop in time", "error", err)
	}
}

// server makes the API's server over the whole table of routes.
func (a *App) server() (*api.Server, error) {
	d := api.Deps{
		Config: api.Config{
			BodyLimit: int(a.cfg.Limits.BodyBytes), Timeout: a.cfg.Limits.RequestTimeout, TrustedProxies: a.cfg.TrustedProxies,
			HSTS: a.cfg.HSTS, Origins: a.cfg.CORSOrigins,
		},
		Auth:   &auth.Authenticator{Verifier: a.verifier, Keys: a.apiKeys},
		Keys:   a.keys,
		Trail:  a.audit,
		Rate:   ratelimit.New(a.Quotas.Lease, time.Now, a.log),
		Tracer: a.tracer,
		Checks: []api.Check{
			{Name: "postgres", Run: a.DB.Ping},
			{Name: "migrations", Run: a.migrated},
			{Name: "temporal", Run: a.engine.Ready},
		},
		Version: Version(),
		Log:     a.log,

		Standings: a.Tenants.FindStandings,
	}
	if a.Metrics.On() {
		d.Observe, d.Begin, d.End = a.Metrics.HTTP.Observe, a.Metrics.HTTP.Begin, a.Metrics.HTTP.End
	}
	return api.New(d, a.routes())
}

func (a *App) runAPI(ctx context.Context, listener net.Listener) error {
	server, err := a.server()
	if err != nil {
		_ = listener.Close()
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	a.log.InfoContext(ctx, "the API accepts requests", slog.String("addr", listener.Addr().String()))
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	a.bounded(ctx, server.Shutdown)
	return <-served
}

// runWorker polls until ctx ends. Temporal may be away when the process starts: it is waited for.
func (a *App) runWorker(ctx context.Context) error {
	w := worker.New(a.temporal, a.activities, worker.Options{
		ConcurrentActivities: a.cfg.Worker.ConcurrentActivities, ConcurrentLocalActivities: a.cfg.Worker.ConcurrentLocalActivities,
		ConcurrentWorkflowTasks: a.cfg.Worker.ConcurrentWorkflowTasks, StopTimeout: a.cfg.Limits.ShutdownTimeout,
		Version: Version(),
	})
	if !a.insist(ctx, "the worker cannot start yet", w.Start) {
		return nil
	}
	a.log.InfoContext(ctx, "the worker takes tasks")
	<-ctx.Done()
	a.stopWorker(ctx, w)
	return nil
}

// stopMargin is what a worker may take to stop beyond the time that its tasks get.
const stopMargin = 2 * time.Second

// stopWorker leaves a worker behind that cannot stop because Temporal does not answer; it ends with the
// process.
func (a *App) stopWorker(ctx context.Context, w *worker.Worker) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.Stop()
	}()
	limit := time.NewTimer(a.cfg.Limits.ShutdownTimeout + stopMargin)
	defer limit.Stop()
	select {
	case <-stopped:
	case <-limit.C:
		a.log.WarnContext(ctx, "the worker did not stop in time")
	}
}

// insist tries until it succeeds; it gives false when ctx ended first.
func (a *App) insist(ctx context.Context, what string, try func() error) bool {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := try()
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			a.log.WarnContext(ctx, what, "pause", wait, "error", err)
		}
		if !pause(ctx, wait) {
			return false
		}
	}
}

// sweepKeys removes answers that are no longer replayed, now and every hour.
func (a *App) sweepKeys(ctx context.Context) {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		if _, err := a.keys.Sweep(ctx, idempotencyTTL); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "old idempotency keys were not removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Ready reports whether the process can do its work.
func (a *App) Ready(ctx context.Context) error {
	return errors.Join(a.DB.Ping(ctx), a.migrated(ctx), a.engine.Ready(ctx))
}

func (a *App) migrated(ctx context.Context) error {
	pending, err := a.DB.Pending(ctx, a.migrations)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return fault.New(fault.Unavailable, "%d migrations have not been applied; run lari migrate.", len(pending))
	}
	return nil
}

func (a *App) routes() []api.Route {
	var all []api.Route
	for _, family := range [][]api.Route{
		api.RunRoutes(a.Runs, a.Log), api.RuntimeRoutes(a.Runs), api.AgentRoutes(a.Agents), api.ThreadRoutes(a.Threads),
		api.AuditRoutes(a.audit), api.WebhookRoutes(a.Webhooks, a.Deliveries), api.ControlRoutes(a.Control), api.ExplainRoutes(a.Runs), api.QuotaRoutes(a.Quotas),
		api.TenantRoutes(a.Tenants, a.Deletion), api.AnalyticsRoutes(a.Analytics), api.ScheduleRoutes(a.Schedules),
		api.MetricsRoutes(a.Metrics, processName(), a.cfg.Metrics.Public), api.PanelRoutes(),
	} {
		all = append(all, family...)
	}
	return all
}
