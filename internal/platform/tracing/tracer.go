package tracing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// library names the instrumentation in what is sent.
const library = "github.com/larirun/lari"

const (
	exportLimit = 10 * time.Second // of sending one batch, with what is tried again
	firstRetry  = time.Second
	maxRetry    = 5 * time.Second
)

// Options say where spans go and which are kept.
type Options struct {
	Endpoint string // URL of the collector; spans go to its path /v1/traces
	Service  string // service.name
	Version  string // service.version
	Sampler  Sampler
	Ratio    float64 // of the traces that the ratio samplers keep, 0 to 1
	// Reads is the share of the traces that the sampler keeps of those that begin with a GET or HEAD request, 0 to 1; nil:
	// all of them.
	Reads *float64
	Log   *slog.Logger
}

// Tracer makes spans and sends them. A nil Tracer makes none. It is safe for concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	sampler  sdktrace.Sampler
}

// New makes a tracer; it connects to nothing yet. A collector that is away or slow delays nobody: what it
// does not take in time is lost. Beyond the options, OpenTelemetry's own variables hold (the headers,
// certificate and time-out of the exporter, resource attributes, limits of the batch and of spans).
func New(ctx context.Context, o Options) (*Tracer, error) {
	target, err := url.JoinPath(o.Endpoint, "v1", "traces")
	if err != nil {
		return nil, fmt.Errorf("the address of the collector: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(target),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: firstRetry, MaxInterval: maxRetry, MaxElapsedTime: exportLimit}))
	if err != nil {
		return nil, fmt.Errorf("prepare the export of spans: %w", err)
	}
	return newTracer(ctx, o, sdktrace.NewBatchSpanProcessor(&loud{next: exporter, log: o.Log, now: time.Now}, sdktrace.WithExportTimeout(exportLimit)))
}

func newTracer(ctx context.Context, o Options, processor sdktrace.SpanProcessor) (*Tracer, error) {
	about, err := resource.New(ctx, resource.WithHost(), resource.WithProcessPID(), resource.WithTelemetrySDK(), resource.WithFromEnv(),
		resource.WithSchemaURL(semconv.SchemaURL), resource.WithAttributes(semconv.ServiceName(o.Service), semconv.ServiceVersion(o.Version)))
	if err != nil && about == nil { // a part of it that cannot be found out is left out
		return nil, fmt.Errorf("describe this process for spans: %w", err)
	}
	reads := 1.0
	if o.Reads != nil {
		reads = *o.Reads
	}
	sampler := o.Sampler.build(o.Ratio, reads)
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithSampler(sampler),
		sdktrace.WithIDGenerator(ids{}), sdktrace.WithSpanProcessor(labeller{}), sdktrace.WithSpanProcessor(processor))
	return &Tracer{provider: provider, tracer: provider.Tracer(library), sampler: sampler}, nil
}

// Close sends what has not been sent, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Start begins a span below the one of the context, or a trace when the context has none.
func (t *Tracer) Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	if t == nil {
		return ctx, trace.SpanFromContext(ctx) // one that does nothing
	}
	if link := linkOf(ctx); link.IsValid() && !trace.SpanContextFromContext(ctx).IsValid() {
		o = append(o, trace.WithLinks(trace.Link{SpanContext: link}))
	}
	return t.tracer.Start(ctx, name, o...)
}

// Start begins a span below the one of the context. Without one it begins nothing: a trace begins at an edge.
func Start(ctx context.Context, name string, o ...trace.SpanStartOption) (context.Context, trace.Span) {
	above := trace.SpanFromContext(ctx)
	if !above.SpanContext().IsValid() {
		return ctx, above
	}
	return above.TracerProvider().Tracer(library).Start(ctx, name, o...)
}

// Foresee gives the identity of the span that Emit will make of the same parent and key. Of a span whose end
// is in another process, or after a restart, everybody knows the identity beforehand: what happens below it
// can name it as its parent. Without a valid parent a trace of that span's own is foreseen.
func (t *Tracer) Foresee(parent trace.SpanContext, key, name string, kind trace.SpanKind) trace.SpanContext {
	traceID, spanID := derive(key)
	if parent.IsValid() {
		traceID = parent.TraceID()
	}
	decision := t.sampler.ShouldSample(sdktrace.SamplingParameters{
		ParentContext: trace.ContextWithRemoteSpanContext(context.Background(), parent), TraceID: traceID, Name: name, Kind: kind,
	})
	var flags trace.TraceFlags
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: flags.WithSampled(decision.Decision == sdktrace.RecordAndSample), TraceState: decision.Tracestate,
	})
}

// Emit makes a foreseen span whole: it began at a time gone by and ends now.
func (t *Tracer) Emit(parent trace.SpanContext, key, name string, kind trace.SpanKind, began, ended time.Time, outcome Outcome, attrs ...attribute.KeyValue) {
	ctx := context.WithValue(trace.ContextWithRemoteSpanContext(context.Background(), parent), foreseenKey{}, key)
	_, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithTimestamp(began), trace.WithAttributes(attrs...))
	outcome.apply(span)
	span.End(trace.WithTimestamp(ended))
}

// derive makes ids of a key, which are the same wherever they are made.
func derive(key string) (trace.TraceID, trace.SpanID) {
	sum := sha256.Sum256([]byte(key))
	return trace.TraceID(sum[:16]), trace.SpanID(sum[16:24])
}
