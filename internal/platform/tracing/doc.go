// Package tracing follows what is done on behalf of one request through every part and process: spans of
// OpenTelemetry, sent to a collector over OTLP.
//
// A trace begins at an edge that holds the Tracer: the API's server for a request, the interceptor of
// internal/platform/temporal for what is handed to Temporal. Everything below an edge continues the trace
// that it finds in its context (Start) and needs no tracer of its own; where there is no trace it costs a
// look into the context and nothing else. There is no global provider.
//
// Spans hold ids, names, figures and classes of errors. They never hold what a user or a model said, and no
// text of an error: those quote both.
package tracing
