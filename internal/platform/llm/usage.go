package llm

import (
	"errors"
	"fmt"
)

// Interrupted ends a turn whose context ended first. It unwraps to the context's own error, so
// errors.Is(err, context.Canceled) holds; it exists because the provider bills for what was produced.
type Interrupted struct {
	Provider string
	Usage    Usage // what the turn had used until then; zero when it never began to answer
	Cause    error // context.Canceled or context.DeadlineExceeded
}

// Error gives provider and cause.
func (e *Interrupted) Error() string { return fmt.Sprintf("%s: interrupted: %v", e.Provider, e.Cause) }

// Unwrap gives the context's error.
func (e *Interrupted) Unwrap() error { return e.Cause }

// PartialUsage gives what a turn that did not end well had used, from the first *Error or
// *Interrupted in the chain; false when it used nothing or the error is another one.
func PartialUsage(err error) (Usage, bool) {
	var (
		failed      *Error
		interrupted *Interrupted
		used        Usage
	)
	switch {
	case errors.As(err, &failed):
		used = failed.Usage
	case errors.As(err, &interrupted):
		used = interrupted.Usage
	}
	return used, used.InputTokens > 0 || used.OutputTokens > 0
}

// EstimateInput counts a whole request in tokens by the rule of EstimateTokens: instructions,
// messages, tool calls and tool descriptions, without what a provider adds around them.
func EstimateInput(req Request) int64 {
	total := EstimateTokens(req.System)
	for _, m := range req.Messages {
		total += EstimateTokens(m.Content)
		for _, call := range m.ToolCalls {
			total += EstimateTokens(call.Name) + EstimateTokens(call.Arguments)
		}
	}
	for _, tool := range req.Tools {
		total += EstimateTokens(tool.Name) + EstimateTokens(tool.Description) + EstimateTokens(string(tool.Parameters))
	}
	return total
}
