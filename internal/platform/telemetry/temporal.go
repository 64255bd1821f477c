package telemetry

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/uber-go/tally/v4"
	tallyprom "github.com/uber-go/tally/v4/prometheus"
	"go.temporal.io/sdk/client"
	sdktally "go.temporal.io/sdk/contrib/tally"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
)

// temporalFlush is how often the SDK's figures move into the registry.
const temporalFlush = time.Second

// Temporal gives the handler through which a Temporal client and its workers export their metrics
// (temporal_…). It is made once per process: a second one would declare the same metrics again. Close the
// closer after the client: it flushes and ends a goroutine.
func (m *Metrics) Temporal(log *slog.Logger) (client.MetricsHandler, io.Closer) {
	reporter := tallyprom.NewReporter(tallyprom.Options{
		Registerer:              m.registry,
		Gatherer:                m.registry,
		DefaultTimerType:        tallyprom.HistogramTimerType,
		DefaultHistogramBuckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		OnRegisterError: func(err error) { // without it the reporter panics
			log.Warn("a metric of the Temporal SDK is not exported", slog.Any("error", err))
		},
	})
	root, closer := tally.NewRootScope(tally.ScopeOptions{
		CachedReporter:         reporter,
		Separator:              tallyprom.DefaultSeparator,
		SanitizeOptions:        &sdktally.PrometheusSanitizeOptions,
		OmitCardinalityMetrics: true,
	}, temporalFlush)
	return sdktally.NewMetricsHandler(sdktally.NewPrometheusNamingScope(root)), closer
}

// TemporalLogger gives the logger that a Temporal client and its workers write to. The SDK calls every
// activity that a user stopped an error; that is the wish of a user and is logged for debugging only.
func TemporalLogger(log *slog.Logger) sdklog.Logger {
	return sdklog.NewStructuredLogger(slog.New(&demoting{log.Handler()}).With(slog.String("component", "temporal-sdk")))
}

// demoting hands records of stopped activities on as debug.
type demoting struct {
	slog.Handler
}

// Handle lowers the level of a record whose error is a cancel.
func (d *demoting) Handle(ctx context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug && cancelled(r) {
		if r.Level = slog.LevelDebug; !d.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return d.Handler.Handle(ctx, r)
}

// cancelled looks for the error that the SDK logs under the key Error, as a value.
func cancelled(r slog.Record) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		err, ok := a.Value.Any().(error)
		found = a.Key == "Error" && ok && temporal.IsCanceledError(err)
		return !found
	})
	return found
}

// WithAttrs keeps the demotion.
func (d *demoting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &demoting{d.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the demotion.
func (d *demoting) WithGroup(name string) slog.Handler { return &demoting{d.Handler.WithGroup(name)} }
