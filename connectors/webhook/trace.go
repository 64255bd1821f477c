package webhook

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/larirun/lari/internal/platform/tracing"
)

// send makes a request that tells the receiver which trace it belongs to. The span names the receiver's host
// and not its URL, which may be a secret.
func send(ctx context.Context, client Client, req *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return client.Do(req)
	}
	ctx, span := tracing.Start(ctx, req.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(req.Method), semconv.ServerAddress(req.URL.Hostname())))
	if port, err := strconv.Atoi(req.URL.Port()); err == nil {
		span.SetAttributes(semconv.ServerPort(port))
	}
	tracing.Inject(ctx, req.Header)
	resp, err := client.Do(req)
	var how tracing.Outcome
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		how.Error = "timeout"
	case err != nil:
		how.Error = "unreachable"
	case resp.StatusCode >= http.StatusBadRequest:
		how.Error = strconv.Itoa(resp.StatusCode)
	}
	if err == nil {
		span.SetAttributes(semconv.HTTPResponseStatusCode(resp.StatusCode))
	}
	tracing.End(span, how)
	return resp, err
}
