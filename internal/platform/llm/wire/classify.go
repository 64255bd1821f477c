package wire

import (
	"net/http"
	"slices"
	"strings"

	"github.com/larirun/lari/internal/platform/llm"
)

// The providers' own words, which say more than a status. A spent account ("insufficient_quota",
// "billing_error") comes as 429, 402 or 400, but waiting does not fill it and the request is not at
// fault: somebody has to see to the account behind the key, as with a wrong key. So it is ClassAuth.
var (
	accountWords = []string{
		"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error", "access_terminated",
		"insufficient_balance", "insufficient_user_quota", "arrearage", "exceeded_current_quota_error",
	}
	authWords = []string{
		"invalid_api_key", "authentication_error", "permission_error", "invalid_authentication", "invalidapikey", "unauthenticated",
		"permission_denied", "unauthorized", "invalid_authentication_error",
	}
	rateWords = []string{
		"rate_limit_exceeded", "rate_limit_error", "too_many_requests", "resource_exhausted", "throttling", "throttlingexception",
		"throttling.ratequota", "rate_limit_reached_error", "rate_limit", "tokens", "requests",
	}
	timeoutWords    = []string{"timeout_error", "timeout", "deadline_exceeded"}
	overloadedWords = []string{
		"overloaded_error", "api_error", "server_error", "internal_server_error", "internal_error", "service_unavailable", "unavailable",
		"internal", "over_capacity", "engine_overloaded_error", "service_unavailable_error", "internalerror", "serviceunavailableexception",
		"upstream_error", "bad_gateway",
	}
	requestWords = []string{
		"invalid_request_error", "not_found_error", "model_not_found", "request_too_large", "bad_request", "invalid_argument", "not_found",
		"failed_precondition", "content_filter", "content_policy_violation", "responsibleaipolicyviolation", "data_inspection_failed",
		"invalid_prompt", "validation_error", "validationexception", "invalidparameter", "unprocessable_entity_error", "badrequesterror",
	}

	contextCodes   = []string{"context_length_exceeded", "model_context_window_exceeded"}
	contextPhrases = []string{
		"maximum context length", "prompt is too long", "context length exceeded", "exceeds the context window", "exceed context limit",
		"exceeds the available context size", "exceeds the maximum number of tokens", "input is too long for requested model",
	}
	accountPhrases  = []string{"credit balance is too low", "insufficient balance"}
	overloadPhrases = []string{"overloaded", "over capacity"}
)

// classify gives the class of a failure from the provider's words and the HTTP status; status zero:
// an error inside a stream, where the status in the object counts, if any.
func classify(status int, p problem) llm.Class {
	message := strings.ToLower(p.message)
	words := func(list []string) bool { return slices.Contains(list, p.code) || slices.Contains(list, p.kind) }
	phrases := func(list []string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(message, s) })
	}
	switch {
	case words(contextCodes), phrases(contextPhrases):
		return llm.ClassContextLength
	case words(accountWords), phrases(accountPhrases):
		return llm.ClassAuth
	}
	if status < http.StatusBadRequest && p.status != 0 {
		status = p.status
	}
	if status >= http.StatusMultipleChoices {
		return classOfStatus(status)
	}
	switch {
	case words(authWords):
		return llm.ClassAuth
	case words(rateWords):
		return llm.ClassRateLimited
	case words(timeoutWords):
		return llm.ClassTimeout
	case words(overloadedWords), phrases(overloadPhrases):
		return llm.ClassOverloaded
	case words(requestWords), status != 0:
		return llm.ClassBadRequest
	default: // an unknown error inside a stream that had begun: the provider's trouble, not the request's
		return llm.ClassOverloaded
	}
}

func classOfStatus(status int) llm.Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusPaymentRequired:
		return llm.ClassAuth
	case http.StatusTooManyRequests:
		return llm.ClassRateLimited
	case http.StatusRequestTimeout:
		return llm.ClassTimeout
	case http.StatusConflict, http.StatusTooEarly: // a lock or a replay guard at the provider: passes by itself
		return llm.ClassOverloaded
	}
	if status >= http.StatusInternalServerError {
		return llm.ClassOverloaded
	}
	return llm.ClassBadRequest
}
