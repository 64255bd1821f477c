package tracing

import sdktrace "go.opentelemetry.io/otel/sdk/trace"

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

func (s Sampler) build(ratio float64) sdktrace.Sampler {
	switch s {
	case AlwaysOn:
		return sdktrace.AlwaysSample()
	case AlwaysOff:
		return sdktrace.NeverSample()
	case Ratio:
		return sdktrace.TraceIDRatioBased(ratio)
	case ParentAlwaysOff:
		return sdktrace.ParentBased(sdktrace.NeverSample())
	case ParentRatio:
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))
	case ParentAlwaysOn:
	}
	return sdktrace.ParentBased(sdktrace.AlwaysSample())
}
