package tracing

import (
	"net/http"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Sampler says which traces are kept, in OpenTelemetry's words (OTEL_TRACES_SAMPLER).
type Sampler string

// The closed list of samplers. Those based on the parent follow the caller's decision where there is one.
const (
	AlwaysOn        Sampler = "always_on"
	AlwaysOff       Sampler = "always_off"
	Ratio           Sampler = "traceidratio"
	ParentAlwaysOn  Sampler = "parentbased_always_on"
	ParentAlwaysOff Sampler = "parentbased_always_off"
	ParentRatio     Sampler = "parentbased_traceidratio"
)

// Samplers lists every sampler.
func Samplers() []Sampler {
	return []Sampler{AlwaysOn, AlwaysOff, Ratio, ParentAlwaysOn, ParentAlwaysOff, ParentRatio}
}

// build makes the sampler; reads is the share of the traces that it keeps of those that begin with a request that only
// reads.
func (s Sampler) build(ratio, reads float64) sdktrace.Sampler {
	root := func(of sdktrace.Sampler, most float64) sdktrace.Sampler {
		if reads >= 1 {
			return of
		}
		// The ids decide in both, so what is kept of reads is a part of what would be kept.
		return readSampler{others: of, reads: sdktrace.TraceIDRatioBased(most * reads)}
	}
	switch s {
	case AlwaysOn:
		return sdktrace.AlwaysSample() // who says so means it
	case AlwaysOff:
		return sdktrace.NeverSample()
	case Ratio:
		return root(sdktrace.TraceIDRatioBased(ratio), ratio)
	case ParentAlwaysOff:
		return sdktrace.ParentBased(sdktrace.NeverSample())
	case ParentRatio:
		return sdktrace.ParentBased(root(sdktrace.TraceIDRatioBased(ratio), ratio))
	case ParentAlwaysOn:
	}
	return sdktrace.ParentBased(root(sdktrace.AlwaysSample(), 1))
}

// readSampler keeps fewer of the traces that begin with a request that only reads: they are many and alike. A span
// within a trace is as its trace.
type readSampler struct{ others, reads sdktrace.Sampler }

// ShouldSample is part of sdktrace.Sampler. The span of a request is named by its method when it begins.
func (s readSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	above := trace.SpanContextFromContext(p.ParentContext)
	begins := !above.IsValid() || above.IsRemote()
	if begins && p.Kind == trace.SpanKindServer && (p.Name == http.MethodGet || p.Name == http.MethodHead) {
		return s.reads.ShouldSample(p)
	}
	return s.others.ShouldSample(p)
}

// Description is part of sdktrace.Sampler.
func (s readSampler) Description() string {
	return "Reads{" + s.reads.Description() + "," + s.others.Description() + "}"
}
