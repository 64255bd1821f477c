package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/fault"
)

func TestDocs(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	get := func(path string, header map[string]string) answer {
		t.Helper()
		return r.do(t, request{method: "GET", path: path, header: header})
	}
	if a := get("/", nil); a.status != 302 || a.header.Get("Location") != "/docs" {
		t.Errorf("/ answers %+v", a)
	}
	a := get("/docs", nil)
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || a.header.Get("Content-Security-Policy") == "" {
		t.Errorf("/docs answers %d %v", a.status, a.header)
	}
	for part := range strings.SplitSeq(a.body, `"`) { // every file that the page names is there
		if !strings.HasPrefix(part, "/docs/") {
			continue
		}
		if f := get(part, nil); f.status != 200 || f.header.Get("Content-Type") == "" || len(f.body) < 100 || f.header.Get("Content-Encoding") != "" {
			t.Errorf("%s answers %d %v", part, f.status, f.header)
		}
	}
	if f := get("/docs/swagger-ui.css", map[string]string{"Accept-Encoding": "gzip, br"}); f.header.Get("Content-Encoding") != "gzip" || f.body[:2] != "\x1f\x8b" {
		t.Errorf("asked for gzip: %v", f.header)
	}
	for _, path := range []string{"/docs/none.js", "/docs/..%2fgo.mod", "/docs/"} {
		f := get(path, nil)
		f.problem(t, fault.NotFound)
	}
	spec := get("/v1/openapi.json", nil)
	if spec.status != 200 || spec.header.Get("Content-Type") != "application/json" || !json.Valid([]byte(spec.body)) || spec.body != string(r.Spec()) {
		t.Errorf("the description answers %d %v", spec.status, spec.header)
	}
	if a := get("/v1/openapi.json", map[string]string{"If-None-Match": `"x", W/` + spec.header.Get("ETag")}); a.status != 304 || a.body != "" {
		t.Errorf("the same description again answers %d", a.status)
	}
	for _, code := range fault.Codes() {
		if a := get("/problems/"+string(code), nil); a.status != 200 || !strings.Contains(a.body, `"code":"`+string(code)+`"`) {
			t.Errorf("%s: %d %s", code, a.status, a.body)
		}
	}
	unknown := get("/problems/invented", nil)
	unknown.problem(t, fault.NotFound)
}
