package security

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/tests/harness"
)

// operation is one endpoint as the API describes it: the tests that range over them cover every route
// that is added.
type operation struct {
	method, path, scope string // scope "": public
	body                any    // the smallest one that the schema takes; nil: none
}

func (o operation) name() string { return o.method + " " + o.path }

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// fill puts values into the path; an unknown placeholder fails the test, so that it learns new routes.
func (o operation) fill(t *testing.T, values map[string]string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(o.path, func(p string) string {
		v, ok := values[strings.Trim(p, "{}")]
		if !ok {
			t.Fatalf("%s: this test has no value for %s; give it one of the tenant's", o.name(), p)
		}
		return v
	})
}

type description struct {
	Paths map[string]map[string]struct {
		Security    []map[string][]string `json:"security"`
		RequestBody *struct {
			Content map[string]struct {
				Schema map[string]any `json:"schema"`
			} `json:"content"`
		} `json:"requestBody"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]map[string]any `json:"schemas"`
	} `json:"components"`
}

// operations reads the API's own description.
func operations(t *testing.T, x *harness.Tenant) []operation {
	t.Helper()
	var d description
	x.Do(t, "GET", "/v1/openapi.json", nil).Want(t, 200, &d)
	var all []operation
	for path, methods := range d.Paths {
		for method, op := range methods {
			o := operation{method: strings.ToUpper(method), path: path}
			for _, requirement := range op.Security {
				for _, scopes := range requirement {
					if len(scopes) != 1 || o.scope != "" && o.scope != scopes[0] {
						t.Fatalf("%s demands %v", o.name(), op.Security)
					}
					o.scope = scopes[0]
				}
			}
			if op.RequestBody != nil {
				o.body = d.example(t, op.RequestBody.Content["application/json"].Schema)
			}
			all = append(all, o)
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d operations are described", len(all))
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// example makes the smallest value that fits a schema.
func (d description) example(t *testing.T, schema map[string]any) any {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		return d.example(t, d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")])
	}
	if values, ok := schema["enum"].([]any); ok {
		return values[0]
	}
	if examples, ok := schema["examples"].([]any); ok {
		return examples[0]
	}
	kind := schema["type"]
	if several, ok := kind.([]any); ok {
		kind = several[0]
	}
	switch kind {
	case "object":
		out := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			of, _ := properties[name.(string)].(map[string]any)
			out[name.(string)] = d.example(t, of)
		}
		return out
	case "array":
		return []any{}
	case "integer", "number":
		return 1
	case "boolean":
		return true
	case "string":
		if schema["format"] == "date-time" {
			return time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		}
		return "example"
	}
	t.Fatalf("no example of %v", schema)
	return nil
}

// wantSecure demands the headers that every answer owes.
func wantSecure(t *testing.T, what string, h http.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000",
	} {
		if got := h.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %s is %q, want %q", what, name, got, want)
		}
	}
	if policy := h.Values("Content-Security-Policy"); len(policy) != 1 || !strings.Contains(policy[0], "frame-ancestors 'none'") || !strings.HasPrefix(policy[0], "default-src '") {
		t.Errorf("%s: Content-Security-Policy is %q", what, policy)
	}
	cache := h.Values("Cache-Control")
	if len(cache) != 1 || cache[0] != "no-store" && !isPublicPath(what) {
		t.Errorf("%s: Cache-Control is %q", what, cache)
	}
}

// isPublicPath reports whether a request ("GET /docs") is for what is the same for everybody.
func isPublicPath(what string) bool {
	return strings.Contains(what, "/docs") || strings.Contains(what, "/v1/openapi.json")
}

// wantWellFormed demands what every answer owes: never a 5xx, a problem document with a code of the closed
// list for what is refused, and the request's id.
func wantWellFormed(t *testing.T, what string, a harness.Answer) {
	t.Helper()
	if a.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s: the answer has no X-Request-Id", what)
	}
	wantSecure(t, what, a.Header)
	if a.Status < 400 {
		return
	}
	var p harness.Problem
	if err := json.Unmarshal(a.Body, &p); err != nil || a.Header.Get("Content-Type") != "application/problem+json" || p.Status != a.Status ||
		!slices.Contains(fault.Codes(), fault.Code(p.Code)) || p.Detail == "" {
		t.Errorf("%s: %d is no problem document of ours: %s %q", what, a.Status, a.Header.Get("Content-Type"), a.Body)
	}
	if a.Status >= 500 {
		t.Errorf("%s: %d %s", what, a.Status, a.Body)
	}
}
