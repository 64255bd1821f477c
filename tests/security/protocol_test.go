package security

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

func TestMethods(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	x.Follow(t, r.ID, 0).Rest(t)
	run := "/v1/runs/" + r.ID.String()
	for _, path := range []string{"/healthz", "/v1/runs", run, run + "/stream", "/v1/openapi.json"} {
		a := send(t, x, "HEAD", path, "", nil)
		if a.Status != 200 || len(a.Body) != 0 {
			t.Errorf("HEAD %s: %d, %d bytes", path, a.Status, len(a.Body))
		}
		a = send(t, x, "OPTIONS", path, "", nil)
		if a.Status != 204 || !strings.Contains(a.Header.Get("Allow"), "GET") {
			t.Errorf("OPTIONS %s: %d, Allow %q", path, a.Status, a.Header.Get("Allow"))
		}
	}
	if a := send(t, p.Nobody(t), "HEAD", run, "", nil); a.Status != 401 {
		t.Errorf("HEAD without a credential: %d", a.Status)
	}
	for _, c := range [][2]string{{"PUT", "/v1/runs"}, {"DELETE", run}, {"PATCH", run}, {"GET", run + "/cancel"}, {"POST", "/healthz"}, {"TRACE", "/v1/runs"}, {"PROPFIND", "/v1/runs"}, {"get", "/v1/runs"}} {
		a := send(t, x, c[0], c[1], "", nil)
		wantWellFormed(t, c[0]+" "+c[1], a)
		a.WantProblem(t, 405, "method_not_allowed")
		if a.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c[0], c[1])
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	for given, echoed := range map[string]bool{
		"abc-1.2_3": true, strings.Repeat("a", 128): true,
		"": false, strings.Repeat("a", 129): false, "a b": false, "ä": false, "<script>": false, `"`: false, "a;b": false,
	} {
		for _, path := range []string{"/v1/runs", "/v1/nothing", "/healthz"} {
			a := send(t, x, "GET", path, "", map[string][]string{"X-Request-Id": {given}})
			got := a.Header.Get("X-Request-Id")
			if echoed && got != given {
				t.Errorf("%q came back as %q", given, got)
			}
			if _, err := uuid.Parse(got); !echoed && err != nil {
				t.Errorf("in place of %q there is %q", given, got)
			}
			if a.Status >= 400 && !strings.Contains(string(a.Body), `"instance":"`+got+`"`) {
				t.Errorf("the problem does not name the request %s: %s", got, a.Body)
			}
		}
	}
}

const floodSeed = 20261101

// TestFlood sends a thousand requests of garbage, the same ones each time. None is answered with a 5xx,
// none makes a run, and the process still works afterwards.
func TestFlood(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	chance := rand.New(rand.NewPCG(floodSeed, 1)) //nolint:gosec // repeatable on purpose
	garbage := func(n int) string {
		b := make([]byte, chance.IntN(n)+1)
		for i := range b {
			b[i] = byte(chance.Uint32())
		}
		return string(b)
	}
	visible := func(n int) string {
		b := make([]byte, chance.IntN(n)+1)
		for i := range b {
			b[i] = byte('!' + chance.IntN('~'-'!'))
		}
		return string(b)
	}
	all := operations(t, x)
	pieces := []string{`{"input":`, `"`, `\u0000`, `\ud800`, `{`, `}`, `[`, `]`, `,`, `:`, `null`, `1e999`, `-`, `"metadata":`, `"messages":`, "\x00", "\xff", `"agent"`, `true`}
	for n := range 1000 {
		o := all[chance.IntN(len(all))]
		path := placeholder.ReplaceAllStringFunc(o.path, func(string) string {
			switch chance.IntN(3) {
			case 0:
				return uuid.NewString()
			case 1:
				return url.PathEscape(garbage(20))
			default:
				return "%" + visible(3)
			}
		})
		if chance.IntN(3) == 0 {
			path += "?" + url.QueryEscape(garbage(10)) + "=" + url.QueryEscape(garbage(10)) + "&limit=" + url.QueryEscape(visible(4)) + "&cursor=" + url.QueryEscape(garbage(8))
		}
		body := ""
		if o.method != "GET" && o.method != "DELETE" || chance.IntN(10) == 0 {
			if chance.IntN(2) == 0 {
				body = garbage(500)
			} else {
				for range chance.IntN(12) + 1 {
					body += pieces[chance.IntN(len(pieces))]
				}
			}
		}
		header := map[string][]string{}
		for _, name := range []string{"Content-Type", "Idempotency-Key", "x-tenant-id", "Last-Event-ID", "X-Request-Id", "X-Api-Key", "Accept", "X-" + strings.Repeat("a", chance.IntN(10)+1)} {
			if chance.IntN(6) == 0 {
				header[name] = []string{visible(40)}
			}
		}
		if _, err := http.NewRequestWithContext(t.Context(), o.method, x.URL+path, nil); err != nil {
			continue // no client sends that path; TestRawGarbage does
		}
		wantWellFormed(t, fmt.Sprintf("request %d, %s %q", n, o.method, path), send(t, x, o.method, path, body, header))
	}
	if n := count(t, s, x, "agent_runs"); n != 0 {
		t.Errorf("garbage made %d runs", n)
	}
	x.Follow(t, x.StartRun(t, `{"input": "hello"}`).ID, 0).Rest(t)
}

// TestRawGarbage goes below HTTP: whatever the bytes, a connection gets a 4xx or is closed.
func TestRawGarbage(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	host := strings.TrimPrefix(p.URL, "http://")
	auth := "Host: x\r\nAuthorization: Bearer " + x.Token + "\r\n"
	chance := rand.New(rand.NewPCG(floodSeed, 2)) //nolint:gosec // repeatable on purpose
	random := make([]byte, 2000)
	for i := range random {
		random[i] = byte(chance.Uint32())
	}
	for name, text := range map[string]string{
		"random bytes":            string(random) + "\r\n\r\n",
		"no version":              "GET /v1/runs\r\n" + auth + "\r\n",
		"a line only":             "\r\n\r\n",
		"HTTP/9":                  "GET /v1/runs HTTP/9.9\r\n" + auth + "\r\n",
		"TLS":                     "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 100) + "\r\n\r\n",
		"a raw NUL in the path":   "GET /v1/runs/\x00 HTTP/1.1\r\n" + auth + "\r\n",
		"raw UTF-8":               "GET /v1/agents/\xff\xfe HTTP/1.1\r\n" + auth + "\r\n",
		"a broken escape":         "GET /v1/agents/%zz HTTP/1.1\r\n" + auth + "\r\n",
		"dots":                    "GET /v1/../../etc/passwd HTTP/1.1\r\n" + auth + "\r\n",
		"an absolute URI":         "GET http://other/v1/nothing HTTP/1.1\r\n" + auth + "\r\n",
		"a negative length":       "POST /v1/runs HTTP/1.1\r\n" + auth + "Content-Type: application/json\r\nContent-Length: -1\r\n\r\n{}",
		"a length of words":       "POST /v1/runs HTTP/1.1\r\n" + auth + "Content-Type: application/json\r\nContent-Length: many\r\n\r\n{}",
		"a length without end":    "POST /v1/runs HTTP/1.1\r\n" + auth + "Content-Type: application/json\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
		"a length over the limit": "POST /v1/runs HTTP/1.1\r\n" + auth + "Content-Type: application/json\r\nContent-Length: 10000000\r\n\r\n{}",
		"broken chunks":           "POST /v1/runs HTTP/1.1\r\n" + auth + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"length and chunks":       "POST /v1/runs HTTP/1.1\r\n" + auth + "Content-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"a header without colon":  "GET /v1/runs HTTP/1.1\r\n" + auth + "nonsense\r\n\r\n",
		"large headers":           "GET /v1/runs HTTP/1.1\r\n" + auth + "X-Big: " + strings.Repeat("a", 64<<10) + "\r\n\r\n",
		"a long path":             "GET /v1/runs/" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\n" + auth + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(25 * time.Second))
			if _, err := conn.Write([]byte(text)); err != nil {
				return // refused while it was being sent
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return // closed
			}
			defer func() { _ = resp.Body.Close() }()
			if resp.StatusCode < 400 || resp.StatusCode > 499 {
				t.Errorf("answered with %s", resp.Status)
			}
			if kind := resp.Header.Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("answered with %s", kind)
			}
		})
	}
}
