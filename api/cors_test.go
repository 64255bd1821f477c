package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/auth"
)

const appOrigin = "https://app.example.com"

func TestCORS_LetsAllowedOriginsRead(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes(), func(d *Deps) { d.Config.Origins = []string{appOrigin, "http://localhost:5173"} })
	for name, q := range map[string]request{
		"an answer":            {method: "GET", path: "/v1/things/" + thingID, role: auth.RoleViewer},
		"a refusal":            {method: "GET", path: "/v1/things/" + thingID},
		"a permission":         {method: "DELETE", path: "/v1/things/" + thingID, role: auth.RoleViewer},
		"no route":             {method: "GET", path: "/v1/nothing"},
		"no method":            {method: "PATCH", path: "/v1/things"},
		"a body over its size": {method: "PUT", path: "/v1/things/" + thingID, role: auth.RoleOperator, body: strings.Repeat("x", 2<<20)},
		"the description":      {method: "GET", path: "/v1/openapi.json"},
		"files":                {method: "GET", path: "/docs/swagger-ui.css"},
	} {
		for origin, allowed := range map[string]bool{
			appOrigin: true, "http://localhost:5173": true, "": false, "null": false, "https://evil.example": false, appOrigin + ".evil.example": false,
			"https://app.example.com:8443": false, "http://app.example.com": false, "https://APP.example.com": false, appOrigin + "/": false, "*": false,
		} {
			q.header = nil
			if origin != "" {
				q.header = map[string]string{"Origin": origin}
			}
			a := r.do(t, q)
			if got := a.header.Values("Access-Control-Allow-Origin"); allowed && (len(got) != 1 || got[0] != origin) || !allowed && len(got) > 0 {
				t.Errorf("%s from %q: Access-Control-Allow-Origin is %q", name, origin, got)
			}
			if (a.header.Get("Access-Control-Expose-Headers") != "") != allowed || a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %q: %v", name, origin, a.header)
			}
			if !strings.Contains(strings.Join(a.header.Values("Vary"), ", "), "Origin") {
				t.Errorf("%s from %q: Vary is %q: a shared cache would serve one origin what another may read", name, origin, a.header.Values("Vary"))
			}
		}
	}
}

func TestCORS_AnswersPreflights(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes(), func(d *Deps) { d.Config.Origins = []string{appOrigin} })
	ask := func(path, origin string) answer {
		return r.do(t, request{method: "OPTIONS", path: path, header: map[string]string{
			"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
		}})
	}
	for _, path := range []string{"/v1/things/" + thingID, "/v1/things", "/v1/nothing"} {
		a := ask(path, appOrigin)
		allowed := strings.ToLower(a.header.Get("Access-Control-Allow-Headers"))
		if a.status != 204 || a.body != "" || a.header.Get("Access-Control-Allow-Origin") != appOrigin || a.header.Get("Access-Control-Max-Age") == "" ||
			!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "PUT") {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
		for _, name := range []string{"authorization", "content-type", "idempotency-key", "x-tenant-id", "x-api-key", "last-event-id", "x-request-id"} {
			if !slices.Contains(strings.Split(allowed, ", "), name) {
				t.Errorf("%s may not be sent: %s", name, allowed)
			}
		}
	}
	a := ask("/v1/things", "https://evil.example")
	if a.status != 204 || a.header.Get("Access-Control-Allow-Methods") != "" || a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Allow") == "" {
		t.Errorf("another origin: %d %v", a.status, a.header)
	}
	if a := ask("/v1/nothing", "https://evil.example"); a.status != 404 {
		t.Errorf("another origin, no route: %d", a.status)
	}
}

// Without origins nothing changes, not even for caches.
func TestCORS_IsOffByDefault(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	a := r.do(t, request{method: "GET", path: "/v1/things", role: auth.RoleViewer, header: map[string]string{"Origin": appOrigin}})
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
			t.Errorf("%s: %q", name, a.header[name])
		}
	}
}

// What the API's description says of response headers, pages can read.
func TestCORS_ExposesDescribedHeaders(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	var spec struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Headers map[string]any `json:"headers"`
			} `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(r.Spec(), &spec); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, methods := range spec.Paths {
		for _, o := range methods {
			for _, resp := range o.Responses {
				for name := range resp.Headers {
					if found++; !slices.Contains(strings.Split(corsExposed(), ", "), name) {
						t.Errorf("%s is not exposed", name)
					}
				}
			}
		}
	}
	if found == 0 {
		t.Fatal("no response header is described")
	}
}
