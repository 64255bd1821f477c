package api

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// raw sends bytes on a connection of its own and returns all answers until the server closes it.
func (r *rig) raw(t *testing.T, text string) (all []answer) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			if err != io.EOF && err != io.ErrUnexpectedEOF && !strings.Contains(err.Error(), "reset") {
				t.Fatalf("after %d answers: %v", len(all), err)
			}
			return all
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Close { // net/http takes the header out
			resp.Header.Set("Connection", "close")
		}
		all = append(all, answer{resp.StatusCode, resp.Header, string(body)})
	}
}

func TestServer_RefusesAmbiguousFraming(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	count := func(context.Context, *struct {
		Name string `json:"name"`
	},
	) (None, error) {
		calls.Add(1)
		return None{}, nil
	}
	r := start(t, []Route{
		Handle("POST", "/v1/count", auth.Public, meta("count"), count),
		Handle("GET", "/v1/key", auth.RunRead, meta("key"), func(context.Context, *None) (None, error) { return None{}, nil }),
	})
	const head, json = "POST /v1/count HTTP/1.1\r\nHost: x\r\n", "Content-Type: application/json\r\n"
	good := head + json + "Content-Length: 2\r\n\r\n{}"
	smuggled := "POST /v1/count HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, text := range map[string]string{
		"two lengths":           head + json + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
		"length and chunks":     head + json + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"xchunked":              head + json + "Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"bare LF":               "POST /v1/count HTTP/1.1\nHost: x\n\n",
		"two hosts":             head + "Host: y\r\n\r\n",
		"HTTP/0.9":              "POST /v1/count\r\n",
		"folded":                head + "A: b\r\n c\r\n\r\n",
		"space before colon":    head + "Content-Length : 2\r\n\r\n{}",
		"bad chunk":             head + json + "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
		"bad chunk end":         head + json + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n",
		"bad trailer":           head + json + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA : b\r\n\r\n",
		"NUL":                   head + "A: \x00\r\n\r\n",
		"absolute, other host":  "POST http://y/v1/count HTTP/1.1\r\nHost: x\r\n\r\n",
		"no host":               "POST /v1/count HTTP/1.1\r\n\r\n",
		"a word like a timeout": head + "timeout: \x01\r\n\r\n",
	} {
		for _, prefix := range []string{"", good} {
			calls.Store(0)
			all := r.raw(t, prefix+text+smuggled)
			if len(prefix) > 0 && (len(all) != 2 || all[0].status != 204 || calls.Load() != 1) || len(prefix) == 0 && (len(all) != 1 || calls.Load() != 0) {
				t.Fatalf("%s: %d answers and %d calls: %+v", name, len(all), calls.Load(), all)
			}
			last := all[len(all)-1]
			last.problem(t, fault.Malformed)
			if last.status != 400 || last.header.Get("Connection") != "close" {
				t.Errorf("%s: %d, Connection %q", name, last.status, last.header.Get("Connection"))
			}
		}
	}
	if o := r.observed.last(t); o.route != unmatched || o.status != 400 {
		t.Errorf("observed %+v", o)
	}
	// A key in a trailer is no credential: what stands before us has not seen it.
	all := r.raw(t, "GET /v1/key HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Api-Key: "+r.token(t, auth.RoleViewer)+"\r\n\r\n")
	if len(all) != 1 || all[0].status != 401 || !strings.Contains(all[0].body, "no credential") {
		t.Errorf("a trailer: %+v", all)
	}
}

// What is pipelined is answered in order, each request once, however bodies are delimited.
func TestServer_AnswersPipelinedRequests(t *testing.T) {
	t.Parallel()
	r := start(t, []Route{Handle("POST", "/v1/echo", auth.Public, meta("echo"), func(_ context.Context, in *struct {
		Name string `json:"name"`
	},
	) (thingView, error) {
		return thingView{Name: in.Name}, nil
	})})
	const head = "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	var text strings.Builder
	for range 200 {
		text.WriteString(head + "Content-Length: 12\r\n\r\n{\"name\":\"a\"}")
		text.WriteString(head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"nam\r\n7;x=y\r\ne\":\"b\"}\r\n0\r\nA: b\r\n\r\n")
	}
	text.WriteString("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	all := r.raw(t, text.String())
	if len(all) != 401 {
		t.Fatalf("%d answers", len(all))
	}
	for i, a := range all[:400] {
		if want := `"name":"` + string("ab"[i%2]) + `"`; a.status != 200 || !strings.Contains(a.body, want) {
			t.Fatalf("answer %d is %d %s", i, a.status, a.body)
		}
	}
}
