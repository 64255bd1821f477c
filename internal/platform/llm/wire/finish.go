package wire

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/larirun/lari/internal/platform/llm"
)

// maxReason bounds a reason that is not in the lists, in characters.
const maxReason = 64

// The providers' words for why a model stopped, lower case, of both formats and the gateways that
// translate other formats into them.
var (
	stopReasons   = []string{"stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed", "end", "finish_reason_stop"}
	lengthReasons = []string{
		"length", "max_tokens", "model_length", "max_output_tokens", "model_context_window_exceeded", "max_length", "token_limit", "truncated",
	}
	filterReasons = []string{
		"content_filter", "content_filtered", "content-filter", "refusal", "safety", "prohibited_content", "blocklist", "spii", "recitation",
		"sensitive", "guardrail_intervened", "error_toxic", "moderation",
	}
	toolReasons = []string{"tool_calls", "tool_use", "tool_call", "function_call", "tools"}
	// A provider or gateway that says one of these has broken off by itself: the answer is not whole.
	brokenReasons = []string{"error", "network_error", "insufficient_system_resource", "abort", "aborted", "internal_error"}
)

// finishReason puts the provider's word into the port's. A word that has none stays as it is, on one
// line and bounded.
func finishReason(sent string) llm.FinishReason {
	word := strings.ToLower(strings.TrimSpace(sent))
	switch {
	case slices.Contains(stopReasons, word):
		return llm.FinishStop
	case slices.Contains(lengthReasons, word):
		return llm.FinishLength
	case slices.Contains(filterReasons, word):
		return llm.FinishFilter
	case slices.Contains(toolReasons, word):
		return llm.FinishToolCalls
	}
	kept := strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == utf8.RuneError { // also each byte that is no UTF-8
			return -1
		}
		return c
	}, strings.TrimSpace(sent))
	if runes := []rune(kept); len(runes) > maxReason {
		kept = string(runes[:maxReason])
	}
	return llm.FinishReason(kept)
}

// isBroken reports whether the reason is a failure in disguise.
func isBroken(sent string) bool {
	return slices.Contains(brokenReasons, strings.ToLower(strings.TrimSpace(sent)))
}
