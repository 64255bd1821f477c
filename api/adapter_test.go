package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

const thingID = "0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f"

func TestSuccess(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	a := r.do(t, request{
		method: "PUT", path: "/v1/things/" + thingID + "?dry=true", role: auth.RoleOperator,
		header: map[string]string{"Content-Type": "Application/JSON; charset=UTF-8"},
		body:   ` { "name": "Zoë \ud83d\ude00", "parts": null, "due": "2026-01-02T15:04:05Z", "metadata": {"a": [1, 1.5e3, null], "Name": "<&>"} } `,
	})
	if a.status != 202 || a.header.Get("Content-Type") != "application/json" || a.header.Get("Location") != "/v1/things/"+thingID {
		t.Fatalf("answer %+v", a)
	}
	var got thingView
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.ID.String() != thingID || got.Name != "Zoë 😀" || !got.Dry {
		t.Errorf("body %q: %v", a.body, err)
	}
	if !strings.Contains(a.body, `"<&>"`) {
		t.Errorf("the body is escaped for HTML: %s", a.body)
	}
	if a.header.Get("X-Tenant-Id") != r.tenant.String() || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", a.header)
	}
	if o := r.observed.last(t); o != (observation{r.tenant.String(), "/v1/things/{thing_id}", "PUT", 202}) {
		t.Errorf("observed %+v", o)
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	var got listThings
	a := r.do(t, request{
		method: "GET", role: auth.RoleViewer,
		path: "/v1/things?color=red&color=green&since=2026-01-02T15:04:05%2B01:00&owner=" + thingID + "&cursor=a%20b",
	})
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	want := time.Date(2026, 1, 2, 14, 4, 5, 0, time.UTC)
	if got.Limit != 50 || got.Cursor != "a b" || fmt.Sprint(got.Color) != "[red green]" || got.Owner.String() != thingID || !got.Since.Equal(want) {
		t.Errorf("read %+v", got)
	}
}

func TestFixedSegmentsGoBeforePlaceholders(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	a := r.do(t, request{method: "GET", path: "/v1/things/special", role: auth.RoleViewer})
	if a.status != 200 || !strings.Contains(a.body, "special") {
		t.Errorf("answer %d %s", a.status, a.body)
	}
}

func TestNoContentAndHead(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	a := r.do(t, request{method: "DELETE", path: "/v1/things/" + thingID, role: auth.RoleAdmin})
	if a.status != 204 || a.body != "" || a.header.Get("Content-Type") != "" {
		t.Errorf("answer %+v", a)
	}
	a = r.do(t, request{method: "HEAD", path: "/v1/things/" + thingID, role: auth.RoleViewer})
	if a.status != 200 || a.body != "" || a.header.Get("Content-Length") == "" {
		t.Errorf("answer %+v", a)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	made := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for given, kept := range map[string]bool{
		"": false, "a": true, "Trace_1.2-3": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false,
		"a b": false, "a\"b": false, "<x>": false, "a/b": false,
	} {
		a := r.do(t, request{method: "GET", path: "/healthz", header: map[string]string{"X-Request-Id": given}})
		if got := a.header.Get("X-Request-Id"); kept != (got == given) || !kept && !made.MatchString(got) {
			t.Errorf("X-Request-Id %q was answered with %q", given, got)
		}
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	var got scope.Scope
	var who *auth.Principal
	var left time.Duration
	r := start(t, []Route{Handle("GET", "/v1/scope", auth.RunRead, meta("getScope"), func(ctx context.Context, _ *None) (None, error) {
		got, who = scope.From(ctx), auth.From(ctx)
		until, _ := ctx.Deadline()
		left = time.Until(until)
		return None{}, nil
	})})
	other := uuid.Must(uuid.NewV7())
	a := r.do(t, request{method: "GET", path: "/v1/scope", role: auth.RoleViewer, header: map[string]string{"X-Request-Id": "r1"}})
	if a.status != 204 || got != (scope.Scope{Tenant: r.tenant, Actor: "ada", RequestID: "r1"}) || who.Subject != "ada" {
		t.Errorf("answer %d, scope %+v, principal %+v", a.status, got, who)
	}
	if left <= 0 || left > 30*time.Second {
		t.Errorf("the function has %v", left)
	}
	a = r.do(t, request{method: "GET", path: "/v1/scope", role: auth.RoleService, header: map[string]string{"x-tenant-id": other.String()}})
	if a.status != 204 || got.Tenant != other || a.header.Get("x-tenant-id") != other.String() {
		t.Errorf("answer %d, scope %+v", a.status, got)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes(), func(d *Deps) { d.Config.Timeout = 30 * time.Millisecond })
	a := r.do(t, request{method: "POST", path: "/v1/fail", body: `{}`})
	a.problem(t, fault.Timeout)
}

// TestUnreadable sends what no client library would.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes(), func(d *Deps) { d.Config.ReadTimeout = 200 * time.Millisecond })
	for name, c := range map[string]struct {
		send   string
		status int
		code   fault.Code
	}{
		"bad request line":  {"NONSENSE\r\n\r\n", 400, fault.Malformed},
		"large headers":     {"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", 431, fault.TooLarge},
		"large target":      {"GET /" + strings.Repeat("a", 40<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, fault.TooLarge},
		"bad length":        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400, fault.Malformed},
		"body cut off":      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", 408, fault.Timeout},
		"chunked too large": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + strings.Repeat("a", 2<<20) + "\r\n0\r\n\r\n", 413, fault.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write([]byte(c.send)); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			var p Problem
			if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status || p.Status != c.status || p.Code != c.code || resp.Header.Get("Content-Type") != problemType ||
				p.Instance == "" || p.Instance != resp.Header.Get("X-Request-Id") {
				t.Errorf("answer %d %v %+v", resp.StatusCode, resp.Header, p)
			}
		})
	}
}
