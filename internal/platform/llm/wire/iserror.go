package wire

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// heartbeatTypes name events that only say that the connection lives.
var heartbeatTypes = []string{"ping", "heartbeat", "keepalive", "keep-alive", "keep_alive", "processing"}

// IsError reports whether an event of a stream is certainly an error. Next to a piece of the answer
// (isAnswer) only the member "error" counts: some servers send it empty along with every piece.
func IsError(v gjson.Result, isAnswer bool) bool {
	if isSet(v.Get("error")) || isSet(v.Get("x_groq.error")) {
		return true
	}
	if isAnswer || !v.IsObject() {
		return false
	}
	for _, name := range []string{"errors", "err", "fault", "error_code", "error_msg", "error_message", "errmsg"} {
		if isSet(v.Get(name)) {
			return true
		}
	}
	if v.Get("object").Str == "error" || v.Get("type").Str == "error" || v.Get("success").Type == gjson.False {
		return true
	}
	if code := v.Get("base_resp.status_code"); code.Exists() && code.Int() != 0 {
		return true
	}
	status := strings.ToLower(v.Get("status").Str)
	return status == "error" || status == "failed" || status == "failure"
}

// IsSuspect reports whether an event that is no piece of an answer has words that may be an error's.
func IsSuspect(v gjson.Result) bool {
	if !v.IsObject() {
		return v.Type == gjson.String
	}
	for _, name := range []string{"type", "object"} {
		if slices.Contains(heartbeatTypes, strings.ToLower(v.Get(name).Str)) {
			return false
		}
	}
	return slices.ContainsFunc(append([]string{"code"}, messageMembers...), func(name string) bool { return isSet(v.Get(name)) })
}

// isSet reports whether a member says anything: not null, false, zero or empty.
func isSet(v gjson.Result) bool {
	switch v.Type {
	case gjson.String:
		return strings.TrimSpace(v.Str) != ""
	case gjson.Number:
		return v.Num != 0
	case gjson.True:
		return true
	case gjson.JSON:
		return strings.Trim(v.Raw, "{}[] \t\r\n") != ""
	case gjson.Null, gjson.False:
	}
	return false
}
