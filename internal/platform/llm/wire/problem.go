package wire

import (
	"encoding/json"
	"strconv"
	"strings"
)

// problem is what a provider says about a failure, whatever shape it has.
type problem struct {
	message    string
	code       string // "context_length_exceeded", lower case
	kind       string // "type" in JSON: "overloaded_error", lower case
	status     int    // some servers put the HTTP status into the object
	structured bool   // the text was JSON of a known shape
}

// parseProblem reads the shapes in use: {"error": {…}}, {"error": "text"}, a bare {"message", "code"},
// {"detail": "text"}, and plain text.
func parseProblem(text []byte) problem {
	var outer map[string]json.RawMessage
	if json.Unmarshal(text, &outer) != nil {
		return problem{message: strings.TrimSpace(string(text))}
	}
	inner := outer
	if raw, ok := outer["error"]; ok {
		var nested map[string]json.RawMessage
		if json.Unmarshal(raw, &nested) != nil || nested == nil {
			return problem{message: scalar(raw), structured: scalar(raw) != ""}
		}
		inner = nested
	}
	p := problem{
		message: scalar(inner["message"]), code: strings.ToLower(scalar(inner["code"])), kind: strings.ToLower(scalar(inner["type"])),
	}
	if p.message == "" {
		p.message = scalar(inner["detail"])
	}
	for _, field := range []string{"status", "code", "status_code"} {
		if n, err := strconv.Atoi(scalar(inner[field])); err == nil && n >= 300 && n < 600 {
			p.status = n
			break
		}
	}
	p.structured = p.message != "" || p.code != "" || p.kind != ""
	if p.message == "" {
		p.message = strings.TrimSpace(p.kind + " " + p.code)
	}
	return p
}

// scalar gives a JSON string or number as text, and nothing for anything else.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}
