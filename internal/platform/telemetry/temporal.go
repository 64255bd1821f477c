package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
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
// activity that a user stopped an error; that is the wish of a user and is logged for debugging only. Where it
// names a workflow whose id begins with a tenant and names a run, the line says so in our words.
func TemporalLogger(log *slog.Logger) sdklog.Logger {
	return sdklog.NewStructuredLogger(slog.New(&demoting{Handler: log.Handler()}).With(slog.String("component", "temporal-sdk")))
}

// demoting hands records of stopped activities on as debug. The SDK calls its own id of an execution RunID;
// ours is told beside it.
type demoting struct {
	slog.Handler
	known bool // whose it is stands in every line
}

// whose reads tenant/word/run…, the form of the ids of our workflows that are about a run.
func whose(a slog.Attr) []slog.Attr {
	if a.Key != "WorkflowID" {
		return nil
	}
	parts := strings.SplitN(a.Value.String(), "/", 4)
	if len(parts) < 3 {
		return nil
	}
	tenant, err := uuid.Parse(parts[0])
	run, failed := uuid.Parse(parts[2])
	if errors.Join(err, failed) != nil {
		return nil
	}
	return []slog.Attr{slog.String(tenantKey, tenant.String()), slog.String(runKey, run.String())}
}

// Handle lowers the level of a record whose error is a cancel.
func (d *demoting) Handle(ctx context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug && cancelled(r) {
		if r.Level = slog.LevelDebug; !d.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return d.Handler.Handle(ctx, d.told(r))
}

// told gives the record in our words: with whose it is, and without what a model provider said.
func (d *demoting) told(r slog.Record) slog.Record {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	known := d.known
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(unquoted(a))
		if added := whose(a); added != nil && !known {
			known = true
			out.AddAttrs(added...)
		}
		return true
	})
	return out
}

// quoting begins the types of application errors whose message is a model provider's own, which may quote
// the conversation (activities.ModelFailureType). It is kept with the run, for its tenant to read.
const quoting = "model:"

func unquoted(a slog.Attr) slog.Attr {
	err, ok := a.Value.Any().(error)
	var failed *temporal.ApplicationError
	if ok && errors.As(err, &failed) && strings.HasPrefix(failed.Type(), quoting) {
		return slog.String(a.Key, failed.Type())
	}
	return a
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
	out := &demoting{Handler: d.Handler.WithAttrs(attrs), known: d.known}
	for _, a := range attrs {
		if added := whose(a); added != nil && !out.known {
			out.Handler, out.known = out.Handler.WithAttrs(added), true
		}
	}
	return out
}

// WithGroup keeps the demotion.
func (d *demoting) WithGroup(name string) slog.Handler {
	return &demoting{Handler: d.Handler.WithGroup(name), known: d.known}
}
