// Package collector is a collector of spans for tests: it speaks OTLP over HTTP, as OpenTelemetry's own does.
package collector

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes spans as OpenTelemetry's collector does, OTLP over HTTP.
type Collector struct {
	URL      string
	Requests atomic.Int64
	Hang     atomic.Bool  // takes requests and never answers, until the client leaves
	Left     atomic.Int64 // clients that left while they were kept waiting
	Forget   atomic.Bool  // counts spans and does not keep them: for measuring
	Counted  atomic.Int64

	mu    sync.Mutex
	spans []Span
}

// Span is what tests look at of a span.
type Span struct {
	Service, Name, Trace, ID, Parent string
	Kind                             tracepb.Span_SpanKind
	Status                           tracepb.Status_StatusCode
	Attributes                       map[string]string // lists are joined by commas
	Links                            []string          // ids of traces
	State                            string            // tracestate
	Began, Ended                     uint64            // Unix time in nanoseconds
	Text                             string            // all of it as text
}

// New serves until the test ends.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.Requests.Add(1)
		if c.Hang.Load() {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			c.Left.Add(1)
			return
		}
		if err := c.take(r); err != nil {
			t.Errorf("the collector: %v", err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		answer, _ := proto.Marshal(&collectorpb.ExportTraceServiceResponse{})
		_, _ = w.Write(answer)
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Collector) take(r *http.Request) error {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return err
		}
		body = unpacked
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if c.Forget.Load() {
		n, err := countSpans(data)
		c.Counted.Add(n)
		return err
	}
	var sent collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &sent); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range sent.GetResourceSpans() {
		service := attributes(resource.GetResource().GetAttributes())["service.name"]
		for _, library := range resource.GetScopeSpans() {
			for _, s := range library.GetSpans() {
				span := Span{
					Service: service, Name: s.GetName(), Kind: s.GetKind(), Status: s.GetStatus().GetCode(), Attributes: attributes(s.GetAttributes()),
					Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
					State: s.GetTraceState(), Began: s.GetStartTimeUnixNano(), Ended: s.GetEndTimeUnixNano(), Text: s.String(),
				}
				for _, l := range s.GetLinks() {
					span.Links = append(span.Links, hex.EncodeToString(l.GetTraceId()))
				}
				c.spans = append(c.spans, span)
			}
		}
	}
	return nil
}

// Spans gives those that have arrived.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

func attributes(all []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range all {
		out[a.GetKey()] = text(a.GetValue())
	}
	return out
}

func text(v *commonpb.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_ArrayValue:
		var parts []string
		for _, part := range v.ArrayValue.GetValues() {
			parts = append(parts, text(part))
		}
		return strings.Join(parts, ",")
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	}
	return v.String()
}
