package activities

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/tracing"
	"github.com/larirun/lari/internal/runs"
)

// Spans follow OpenTelemetry's semantic conventions for generative AI. What was said, asked of a tool or
// answered by it is in none.

// traced says in the activity's span, and in those below it, whose run it is.
func traced(ctx context.Context, r runs.Run) context.Context {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return tracing.With(ctx, tracing.OfRun(r.TenantID, r.ID, r.AgentID, r.WorkspaceID)...)
}

// begin begins the span of the model's turn. The provider is not told of it: what goes there is not ours.
func (s *streaming) begin(ctx context.Context) (context.Context, trace.Span) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return tracing.Start(ctx, "chat")
	}
	provider, model := s.prompt.provider.Name(), s.prompt.request.Model
	attrs := []attribute.KeyValue{
		tracing.GenAIOperation.String("chat"), tracing.GenAIProvider.String(provider), tracing.GenAISystem.String(provider),
		tracing.GenAIRequestModel.String(model),
	}
	if most := s.prompt.request.MaxTokens; most > 0 {
		attrs = append(attrs, tracing.GenAIMaxTokens.Int(most))
	}
	return tracing.Start(ctx, "chat "+model, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
}

func (s *streaming) end(span trace.Span, err error) {
	if s.done != nil && span.IsRecording() {
		span.SetAttributes(
			tracing.GenAIInputTokens.Int64(s.done.Usage.InputTokens), tracing.GenAIOutputTokens.Int64(s.done.Usage.OutputTokens),
			tracing.GenAIFinishReasons.StringSlice([]string{string(s.done.Reason)}))
		if s.done.Model != "" {
			span.SetAttributes(tracing.GenAIResponseModel.String(s.done.Model))
		}
	}
	if used, ok := llm.PartialUsage(err); ok && span.IsRecording() {
		span.SetAttributes(tracing.GenAIInputTokens.Int64(used.InputTokens), tracing.GenAIOutputTokens.Int64(used.OutputTokens))
	}
	var model *llm.Error
	how := ended(err)
	if errors.As(err, &model) {
		how = tracing.Outcome{Error: string(model.Class)}
	}
	tracing.End(span, how)
}

// beginTool begins the span of a tool's call.
func beginTool(ctx context.Context, call runs.ToolCall) (context.Context, trace.Span) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return tracing.Start(ctx, "execute_tool")
	}
	return tracing.Start(ctx, "execute_tool "+call.Name, trace.WithAttributes(
		tracing.GenAIOperation.String("execute_tool"), tracing.GenAIToolName.String(call.Name),
		tracing.GenAIToolCallID.String(call.CallID), tracing.GenAIToolType.String("function")))
}

func endTool(ctx context.Context, span trace.Span, err error) {
	how := ended(err)
	if stopped(ctx) {
		how.Expected = true
	}
	tracing.End(span, how)
}

// ended is how something ended that says so in our own codes.
func ended(err error) tracing.Outcome {
	switch {
	case err == nil:
		return tracing.Outcome{}
	case errors.Is(err, context.Canceled):
		return tracing.Outcome{Error: "cancelled", Expected: true}
	case errors.Is(err, context.DeadlineExceeded):
		return tracing.Outcome{Error: "timeout"}
	}
	return tracing.Outcome{Error: string(fault.CodeOf(err))}
}
