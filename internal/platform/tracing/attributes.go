package tracing

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/larirun/lari/internal/platform/scope"
)

// Attributes of this program.
const (
	TenantID    = attribute.Key("lari.tenant_id")
	WorkspaceID = attribute.Key("lari.workspace_id")
	RunID       = attribute.Key("lari.run_id")
	AgentID     = attribute.Key("lari.agent_id")
	RequestID   = attribute.Key("lari.request_id")
)

// Attributes of OpenTelemetry's semantic conventions for generative AI, as of 2026.
const (
	GenAIOperation     = attribute.Key("gen_ai.operation.name")
	GenAIProvider      = attribute.Key("gen_ai.provider.name")
	GenAISystem        = attribute.Key("gen_ai.system") // the provider's name before version 1.37: many viewers know only it
	GenAIRequestModel  = attribute.Key("gen_ai.request.model")
	GenAIMaxTokens     = attribute.Key("gen_ai.request.max_tokens")
	GenAIResponseModel = attribute.Key("gen_ai.response.model")
	GenAIFinishReasons = attribute.Key("gen_ai.response.finish_reasons")
	GenAIInputTokens   = attribute.Key("gen_ai.usage.input_tokens")
	GenAIOutputTokens  = attribute.Key("gen_ai.usage.output_tokens")
	GenAIToolName      = attribute.Key("gen_ai.tool.name")
	GenAIToolCallID    = attribute.Key("gen_ai.tool.call.id")
	GenAIToolType      = attribute.Key("gen_ai.tool.type")
)

// ErrorType is the class of what went wrong.
const ErrorType = attribute.Key("error.type")

// Outcome is how something ended: Error is the class of what went wrong, "" when it went well.
type Outcome struct {
	Error string
	// Expected says that it is no failure: somebody cancelled it, or it is to be tried again by design.
	Expected bool
}

func (o Outcome) apply(span trace.Span) {
	if o.Error == "" || !span.IsRecording() {
		return
	}
	span.SetAttributes(ErrorType.String(o.Error))
	if !o.Expected {
		span.SetStatus(codes.Error, o.Error)
	}
}

// End ends the span with how it went.
func End(span trace.Span, o Outcome) {
	o.apply(span)
	span.End()
}

type labelsKey struct{}

// With gives the span of the context the attributes, and all that begin below it, in other processes too.
// Without a trace it does nothing.
func With(ctx context.Context, attrs ...attribute.KeyValue) context.Context {
	span := trace.SpanFromContext(ctx)
	if !span.SpanContext().IsValid() {
		return ctx
	}
	span.SetAttributes(attrs...)
	return Label(ctx, attrs...)
}

// Label gives all that begin below the context the attributes.
func Label(ctx context.Context, attrs ...attribute.KeyValue) context.Context {
	return context.WithValue(ctx, labelsKey{}, append(slices.Clip(Labels(ctx)), attrs...))
}

// Labels gives what Label put there.
func Labels(ctx context.Context) []attribute.KeyValue {
	labels, _ := ctx.Value(labelsKey{}).([]attribute.KeyValue)
	return labels
}

// OfRun gives the attributes of a run.
func OfRun(tenant, run, agent uuid.UUID, workspace *uuid.UUID) []attribute.KeyValue {
	attrs := []attribute.KeyValue{TenantID.String(tenant.String()), RunID.String(run.String()), AgentID.String(agent.String())}
	if workspace != nil {
		attrs = append(attrs, WorkspaceID.String(workspace.String()))
	}
	return attrs
}

// labeller puts on every span that begins whose it is, as its context knows.
type labeller struct{}

// OnStart is part of sdktrace.SpanProcessor.
func (labeller) OnStart(parent context.Context, span sdktrace.ReadWriteSpan) {
	if s := scope.From(parent); s.Tenant != uuid.Nil {
		span.SetAttributes(TenantID.String(s.Tenant.String()))
		if s.Run != uuid.Nil {
			span.SetAttributes(RunID.String(s.Run.String()))
		}
	}
	if labels := Labels(parent); len(labels) > 0 {
		span.SetAttributes(labels...)
	}
}

// OnEnd is part of sdktrace.SpanProcessor.
func (labeller) OnEnd(sdktrace.ReadOnlySpan) {}

// Shutdown is part of sdktrace.SpanProcessor.
func (labeller) Shutdown(context.Context) error { return nil }

// ForceFlush is part of sdktrace.SpanProcessor.
func (labeller) ForceFlush(context.Context) error { return nil }
