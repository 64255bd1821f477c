package wire

import (
	"strings"

	"github.com/tidwall/gjson"
)

// maxNesting bounds how deep an error is unwrapped: gateways put the errors of those behind them into
// their own, as objects, lists and JSON in strings.
const maxNesting = 8

// maxListed bounds how many errors of a list are shown.
const maxListed = 3

// problem is what a provider says about a failure, whatever shape it has.
type problem struct {
	message    string
	code       string // "context_length_exceeded", lower case
	kind       string // "type" in JSON: "overloaded_error", lower case
	status     int    // some servers put the HTTP status into the object
	structured bool   // the text was JSON of a known shape
	isJSON     bool
}

var (
	// Members that hold another error.
	nestedMembers = []string{"error", "errors", "err", "fault", "base_resp", "x_groq", "response", "detail", "message"}
	// Members that hold words, the best first.
	messageMembers = []string{
		"message", "msg", "error_message", "error_msg", "errmsg", "status_msg", "faultstring", "detail", "error_description",
		"description", "title", "reason",
	}
	codeMembers   = []string{"code", "error_code", "errcode"}
	statusMembers = []string{"status", "code", "status_code", "http_status", "error_code"}
)

// parseProblem reads the shapes in use: {"error": {…}}, {"error": "text"}, a bare {"message", "code"},
// {"detail": "text"} or a list of details, lists of errors, errors in strings in errors, plain text.
func parseProblem(text []byte) problem {
	trimmed := strings.TrimSpace(string(text))
	if !gjson.Valid(trimmed) {
		return problem{message: trimmed}
	}
	p := readProblem(gjson.Parse(trimmed), maxNesting)
	p.isJSON = true
	p.structured = p.message != "" || p.code != "" || p.kind != ""
	if p.message == "" {
		p.message = strings.TrimSpace(p.kind + " " + p.code)
	}
	return p
}

func readProblem(v gjson.Result, depth int) problem {
	if depth == 0 {
		return problem{}
	}
	switch {
	case v.Type == gjson.String:
		inner := strings.TrimSpace(v.Str)
		if (strings.HasPrefix(inner, "{") || strings.HasPrefix(inner, "[")) && gjson.Valid(inner) {
			return readProblem(gjson.Parse(inner), depth-1)
		}
		return problem{message: inner}
	case v.IsArray():
		return readList(v, depth)
	case v.IsObject():
		return readObject(v, depth)
	}
	return problem{}
}

func readList(v gjson.Result, depth int) problem {
	var p problem
	listed := 0
	v.ForEach(func(_, item gjson.Result) bool {
		inner := readProblem(item, depth-1)
		if inner.message != "" && p.message != "" {
			inner.message = p.message + "; " + inner.message
		}
		p = inner.or(p)
		listed++
		return listed < maxListed
	})
	return p
}

func readObject(v gjson.Result, depth int) problem {
	var p problem
	for _, name := range nestedMembers {
		if inner := v.Get(name); inner.IsObject() || inner.IsArray() || inner.Type == gjson.String && (name == "error" || name == "message") {
			p = p.or(readProblem(inner, depth-1))
		}
	}
	own := problem{kind: strings.ToLower(scalar(v.Get("type")))}
	if own.kind == "error" {
		own.kind = ""
	}
	if s := v.Get("status"); s.Type == gjson.String && own.kind == "" { // Google's word: "RESOURCE_EXHAUSTED"
		own.kind = strings.ToLower(s.Str)
	}
	for _, name := range codeMembers {
		if own.code = strings.ToLower(scalar(v.Get(name))); own.code != "" {
			break
		}
	}
	for _, name := range statusMembers {
		if n := v.Get(name).Int(); n >= 300 && n < 600 {
			own.status = int(n)
			break
		}
	}
	for _, name := range messageMembers {
		if m := v.Get(name); m.Type == gjson.String && strings.TrimSpace(m.Str) != "" && p.message == "" {
			p.message = strings.TrimSpace(m.Str)
		}
	}
	// A validator's detail says where.
	if where := place(v.Get("loc")); where != "" && p.message != "" {
		p.message = where + ": " + p.message
	}
	p = p.or(own)
	// A gateway's own words say little of what those behind it said.
	if raw := readProblem(v.Get("metadata.raw"), depth-1); raw.message != "" {
		p.message = strings.TrimRight(p.message, ".: ") + ": " + raw.message
		p = p.or(raw)
	}
	return p
}

// or fills what is missing from another problem.
func (p problem) or(q problem) problem {
	if p.message == "" {
		p.message = q.message
	}
	if p.code == "" {
		p.code = q.code
	}
	if p.kind == "" {
		p.kind = q.kind
	}
	if p.status == 0 {
		p.status = q.status
	}
	return p
}

// place joins the path of a validator's detail.
func place(loc gjson.Result) string {
	if !loc.IsArray() {
		return ""
	}
	var steps []string
	for _, step := range loc.Array() {
		steps = append(steps, step.String())
	}
	return strings.Join(steps, ".")
}

// scalar returns a JSON string or number as text, and nothing for anything else.
func scalar(v gjson.Result) string {
	if v.Type == gjson.String {
		return strings.TrimSpace(v.Str)
	}
	if v.Type == gjson.Number {
		return v.Raw
	}
	return ""
}
