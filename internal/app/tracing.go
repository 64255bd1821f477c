package app

import (
	"context"
	"time"

	"go.temporal.io/sdk/interceptor"

	temporalplatform "github.com/larirun/lari/internal/platform/temporal"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/workflows"
)

// flushLimit bounds the sending of the last spans: a collector that is away does not hold up a stop.
const flushLimit = 3 * time.Second

// joinTracing makes the tracer, if there is a collector.
func (a *App) joinTracing(ctx context.Context) (err error) {
	o := a.cfg.Traces
	if o.Endpoint.Empty() {
		return nil
	}
	a.tracer, err = tracing.New(ctx, tracing.Options{
		Endpoint: o.Endpoint.Reveal(), Service: o.Service, Version: Version(),
		Sampler: o.Sampler, Ratio: o.Ratio, Reads: &o.Reads, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), min(flushLimit, a.cfg.Limits.ShutdownTimeout))
		defer stop()
		if err := a.tracer.Close(ctx); err != nil {
			a.log.WarnContext(ctx, "the last spans were not sent", "error", err)
		}
	})
	return nil
}

// tracing gives the interceptor that carries traces through Temporal. The reconciler's passes are no traces:
// they are many, and nobody asked for them.
func (a *App) tracing() []interceptor.ClientInterceptor {
	if a.tracer == nil {
		return nil
	}
	return []interceptor.ClientInterceptor{temporalplatform.NewTracing(a.tracer, workflows.ReconcileName)}
}
