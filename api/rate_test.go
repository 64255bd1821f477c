package api

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/ratelimit"
	"github.com/larirun/lari/internal/runs"
)

// counter admits so many requests.
type counter struct {
	mu    sync.Mutex
	left  int
	asked []uuid.UUID
}

func (c *counter) Take(_ context.Context, tenant uuid.UUID) ratelimit.Decision {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, tenant)
	d := ratelimit.Decision{Allowed: c.left > 0, Limit: 100, Remaining: max(c.left-1, 0), Reset: 1300 * time.Millisecond, Retry: 2100 * time.Millisecond}
	c.left--
	return d
}

// Every request that may be made counts, whatever becomes of it, and its answer says how many are left; what is
// not permitted, or public, does not.
func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	c := &counter{left: 4}
	r := start(t, thingRoutes(), func(d *Deps) { d.Rate = c })
	get := request{method: "GET", path: "/v1/things", role: auth.RoleViewer}
	put := request{method: "PUT", path: "/v1/things/" + uuid.NewString(), role: auth.RoleOperator, body: `{"nonsense": 1}`}
	for i, q := range []request{get, put, {method: "HEAD", path: "/v1/things", role: auth.RoleViewer}} {
		a := r.do(t, q)
		if policy, rate := a.header.Get("RateLimit-Policy"), a.header.Get("RateLimit"); policy != `"requests";q=100;w=60` || rate != `"requests";r=`+string(rune('3'-i))+`;t=2` {
			t.Errorf("%s %s, %d: %q and %q", q.method, q.path, a.status, policy, rate)
		}
	}
	for _, q := range []request{
		{method: "GET", path: "/healthz"},
		{method: "GET", path: "/docs"},
		{method: "GET", path: "/v1/things"},
		{method: "PUT", path: put.path, role: auth.RoleViewer, body: "{}"},
		{method: "GET", path: "/v1/nothing", role: auth.RoleViewer},
	} {
		if a := r.do(t, q); a.header.Get("RateLimit") != "" {
			t.Errorf("%s %s was counted: %d", q.method, q.path, a.status)
		}
	}
	if r.do(t, get).status != 200 {
		t.Error("the fourth was refused")
	}
	r.trail.all(t)
	for _, q := range []request{get, put} {
		a := r.do(t, q)
		p := a.problem(t, fault.RateLimited)
		if a.status != 429 || a.header.Get("Retry-After") != "3" || a.header.Get("RateLimit") != `"requests";r=0;t=2` ||
			!strings.Contains(p.Detail, "requests_per_minute") || !strings.Contains(p.Detail, "100 requests") {
			t.Errorf("the refusal is %d %q with %v", a.status, p.Detail, a.header)
		}
	}
	if refused := r.trail.all(t); len(refused) != 0 {
		t.Errorf("%d refusals are in the trail", len(refused))
	}
	if len(c.asked) != 6 || c.asked[0] != r.tenant {
		t.Errorf("the limiter was asked for %v", c.asked)
	}
}

func TestQuotaWarning(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 12, 1, 0, 0, 0, 0, time.FixedZone("", 0))
	for want, near := range map[string][]runs.QuotaWarning{
		"":                                      nil,
		`"concurrent_runs";limit="10";used="9"`: {{Quota: "concurrent_runs", Limit: "10", Used: "9"}},
		`"tokens_per_month";limit="1000";used="850";frees_at="2026-12-01T00:00:00Z", "cost_usd_per_month";limit="2.5000000001";used="2.1"`: {
			{Quota: "tokens_per_month", Limit: "1000", Used: "850", FreesAt: &at}, {Quota: "cost_usd_per_month", Limit: "2.5000000001", Used: "2.1"},
		},
	} {
		if got := quotaWarning(near); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The description names the fields wherever they can come.
func TestTheFieldsAreDescribed(t *testing.T) {
	t.Parallel()
	_, doc := describeThings(t)
	for _, name := range []string{"RateLimit", "RateLimit-Policy", "Lari-Quota-Warning"} {
		doc.at("components", "headers", name, "schema", "type").is(t, `"string"`)
	}
	put := doc.at("paths", "/v1/things/{thing_id}", "put", "responses", "202", "headers")
	put.at("RateLimit").is(t, `{"$ref":"#/components/headers/RateLimit"}`)
	put.at("RateLimit-Policy").is(t, `{"$ref":"#/components/headers/RateLimit-Policy"}`)
	doc.at("components", "responses", "Problem429", "headers", "RateLimit").is(t, `{"$ref":"#/components/headers/RateLimit"}`)
	doc.at("components", "responses", "Problem404", "headers").is(t, `null`)
}
