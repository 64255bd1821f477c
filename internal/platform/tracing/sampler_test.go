package tracing

import (
	"context"
	"encoding/binary"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Of the traces that begin with a request that only reads fewer are kept, which are among those that would be kept
// otherwise; a caller's decision, a span within a trace and what is no request are as they were.
func TestReadsAreSampled(t *testing.T) {
	t.Parallel()
	const traces = 20_000
	idOf := func(i int) (id trace.TraceID) {
		binary.BigEndian.PutUint64(id[:8], 1)
		binary.BigEndian.PutUint64(id[8:], uint64(i)*0x9E3779B97F4A7C15)
		return id
	}
	kept := func(s sdktrace.Sampler, name string, kind trace.SpanKind, parent *trace.SpanContextConfig) (share float64, ids map[int]bool) {
		ids = map[int]bool{}
		for i := range traces {
			p := sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: idOf(i), Name: name, Kind: kind}
			if parent != nil {
				parent.TraceID, parent.SpanID = p.TraceID, trace.SpanID{1}
				p.ParentContext = trace.ContextWithSpanContext(p.ParentContext, trace.NewSpanContext(*parent))
			}
			if s.ShouldSample(p).Decision == sdktrace.RecordAndSample {
				ids[i] = true
			}
		}
		return float64(len(ids)) / traces, ids
	}
	callers, local := &trace.SpanContextConfig{Remote: true, TraceFlags: trace.FlagsSampled}, &trace.SpanContextConfig{TraceFlags: trace.FlagsSampled}
	unwanted := &trace.SpanContextConfig{Remote: true}
	for _, c := range []struct {
		s            Sampler
		ratio, reads float64
		name         string
		kind         trace.SpanKind
		parent       *trace.SpanContextConfig
		want         float64
	}{
		{ParentAlwaysOn, 1, .1, "GET", trace.SpanKindServer, nil, .1},
		{ParentAlwaysOn, 1, .1, "HEAD", trace.SpanKindServer, nil, .1},
		{ParentAlwaysOn, 1, .1, "POST", trace.SpanKindServer, nil, 1},
		{ParentAlwaysOn, 1, .1, "GET", trace.SpanKindClient, nil, 1},
		{ParentAlwaysOn, 1, .1, "GET", trace.SpanKindServer, callers, 1},
		{ParentAlwaysOn, 1, 1, "GET", trace.SpanKindServer, unwanted, 0},
		{ParentAlwaysOn, 1, 0, "GET", trace.SpanKindServer, nil, 0},
		{ParentAlwaysOn, 1, 1, "GET", trace.SpanKindServer, nil, 1},
		{AlwaysOn, 1, .5, "GET", trace.SpanKindServer, callers, 1},
		{Ratio, 1, .5, "GET", trace.SpanKindServer, callers, .5},
		{Ratio, 1, .5, "GET", trace.SpanKindServer, local, 1},
		{ParentRatio, .5, .5, "GET", trace.SpanKindServer, nil, .25},
		{ParentRatio, .5, .5, "PATCH", trace.SpanKindServer, nil, .5},
		{Ratio, .2, .5, "GET", trace.SpanKindServer, unwanted, .1},
		{AlwaysOff, 1, 1, "GET", trace.SpanKindServer, nil, 0},
		{ParentAlwaysOff, 1, 1, "GET", trace.SpanKindServer, nil, 0},
	} {
		share, ids := kept(c.s.build(c.ratio, c.reads), c.name, c.kind, c.parent)
		if share < c.want-.02 || share > c.want+.02 {
			t.Errorf("%+v: %v are kept", c, share)
		}
		_, all := kept(c.s.build(c.ratio, 1), c.name, c.kind, c.parent)
		for i := range ids {
			if !all[i] {
				t.Fatalf("%+v: a trace is kept that would not be otherwise", c)
			}
		}
	}
}
