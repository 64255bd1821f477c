package openai_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/llmtest"
	"github.com/larirun/lari/internal/platform/llm/openai"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/pace"
)

func TestFailuresHaveTheirClass(t *testing.T) {
	t.Parallel()
	date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	status := func(code int, body string, header ...string) fakellm.Reply {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return fakellm.Reply{Failure: &fakellm.Failure{Status: code, Body: body, Header: h}}
	}
	tests := map[string]struct {
		reply    fakellm.Reply
		class    llm.Class
		status   int
		min, max time.Duration // bounds of RetryAfter
		detail   string        // part of it
	}{
		"rate limited": {reply: status(429, ""), class: llm.ClassRateLimited, status: 429, detail: "Too Many Requests"},
		"rate limited, seconds": {
			reply: fakellm.Reply{Failure: fakellm.RateLimited("7")}, class: llm.ClassRateLimited, status: 429,
			min: 7 * time.Second, max: 7 * time.Second,
		},
		"rate limited, date": {
			reply: fakellm.Reply{Failure: fakellm.RateLimited(date)}, class: llm.ClassRateLimited, status: 429,
			min: 60 * time.Second, max: 90 * time.Second,
		},
		"rate limited, milliseconds": {
			reply: status(429, "", "Retry-After-Ms", "1500", "Retry-After", "9"), class: llm.ClassRateLimited, status: 429,
			min: 1500 * time.Millisecond, max: 1500 * time.Millisecond,
		},
		"the account is spent": {
			reply: status(429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`),
			class: llm.ClassAuth, status: 429, detail: "exceeded your current quota",
		},
		"context length, by code": {
			reply: status(400, `{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}`),
			class: llm.ClassContextLength, status: 400, detail: "too long",
		},
		"context length, by a compatible server's message": {
			reply: status(400, `{"object":"error","message":"This model's maximum context length is 4096 tokens","code":400}`),
			class: llm.ClassContextLength, status: 400,
		},
		"bad request":        {reply: status(400, ""), class: llm.ClassBadRequest, status: 400},
		"wrong key":          {reply: status(401, ""), class: llm.ClassAuth, status: 401},
		"forbidden":          {reply: status(403, ""), class: llm.ClassAuth, status: 403},
		"no such model":      {reply: status(404, `{"error":"model 'x' not found"}`), class: llm.ClassBadRequest, status: 404, detail: "model 'x' not found"},
		"server error":       {reply: status(500, ""), class: llm.ClassOverloaded, status: 500},
		"a proxy's page":     {reply: status(502, "<html><h1>Bad Gateway</h1></html>", "Content-Type", "text/html"), class: llm.ClassOverloaded, status: 502, detail: "Bad Gateway"},
		"unavailable, later": {reply: status(503, "", "Retry-After", "2"), class: llm.ClassOverloaded, status: 503, min: 2 * time.Second, max: 2 * time.Second},
		"overloaded":         {reply: status(529, ""), class: llm.ClassOverloaded, status: 529},
		"not followed: a redirect with the key": {
			reply: status(307, "", "Location", "https://example.com/v1"), class: llm.ClassBadRequest, status: 307, detail: "redirect",
		},
		"200 without a stream": {reply: status(200, `{"choices":[]}`), class: llm.ClassBadRequest, status: 200, detail: "event stream"},
		"200 with an error":    {reply: status(200, `{"error":{"message":"busy","code":503}}`), class: llm.ClassOverloaded, status: 200, detail: "busy"},
		"cut":                  {reply: fakellm.Reply{Words: 9, CutAfter: 4}, class: llm.ClassOverloaded, detail: "broke off"},
		"cut before the end":   {reply: fakellm.Reply{Words: 9, CutAtEnd: true}, class: llm.ClassOverloaded, detail: "broke off"},
		"error in the stream": {
			reply: fakellm.Reply{Words: 9, FailAfter: 3, StreamError: `{"error":{"message":"The server had an error","type":"server_error"}}`},
			class: llm.ClassOverloaded, detail: "had an error",
		},
		"rate limit in the stream": {
			reply: fakellm.Reply{Words: 9, FailAfter: 3, StreamError: `{"error":{"message":"slow down","code":429}}`},
			class: llm.ClassRateLimited, status: 429, detail: "slow down",
		},
		"garbage in the stream": {
			reply: fakellm.Reply{Words: 9, FailAfter: 3, StreamError: `{"choices":[`}, class: llm.ClassOverloaded, detail: "not JSON",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, server := provider(t, fakellm.Options{Default: test.reply})
			turn := llmtest.Collect(t.Context(), t, p, ask("hello"))
			var got *llm.Error
			if !errors.As(turn.Err, &got) {
				t.Fatalf("error %v, want an *llm.Error", turn.Err)
			}
			if got.Class != test.class || got.Status != test.status || !strings.Contains(got.Detail, test.detail) {
				t.Errorf("got %+v, want class %s, status %d, detail with %q", got, test.class, test.status, test.detail)
			}
			if got.RetryAfter < test.min || got.RetryAfter > test.max {
				t.Errorf("retry after %s, want %s to %s", got.RetryAfter, test.min, test.max)
			}
			if got.Provider != "openai" || got.Detail == "" {
				t.Errorf("provider %q, detail %q", got.Provider, got.Detail)
			}
			if used, _ := llm.PartialUsage(turn.Err); (used.OutputTokens > 0) != (turn.Chunks > 0) {
				t.Errorf("usage %+v after %d chunks", used, turn.Chunks)
			}
			if n := server.Stats().Requests; n != 1 {
				t.Errorf("%d requests: the provider retried", n)
			}
		})
	}
}

func TestSilenceIsATimeout(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]fakellm.Reply{
		"before the headers": {Hang: true},
		"in the stream":      {Words: 9, HangAfter: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := fakellm.Start(fakellm.Options{Default: reply})
			t.Cleanup(server.Close)
			p := openai.New(openai.Config{
				BaseURL: server.OpenAIURL(), HTTPClient: &http.Client{Transport: &http.Transport{}}, IdleTimeout: 60 * time.Millisecond,
			})
			turn := llmtest.Collect(t.Context(), t, p, ask("hello"))
			var got *llm.Error
			if !errors.As(turn.Err, &got) || got.Class != llm.ClassTimeout || !got.Class.Retryable() {
				t.Fatalf("error %v, want class timeout", turn.Err)
			}
			if err := server.WaitDisconnects(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	server := fakellm.Start(fakellm.Options{})
	server.Close()
	p := openai.New(openai.Config{APIKey: key, BaseURL: server.OpenAIURL()})
	turn := llmtest.Collect(t.Context(), t, p, ask("hello"))
	var got *llm.Error
	if !errors.As(turn.Err, &got) || got.Class != llm.ClassOverloaded || got.Status != 0 {
		t.Fatalf("error %v, want class overloaded without a status", turn.Err)
	}
	if strings.Contains(got.Detail, server.URL+"/v1") {
		t.Errorf("the detail shows the URL: %s", got.Detail)
	}
}

// The server sees the client leave within 100 ms (on an idle machine) of a cancel and of a break, and sends nothing after.
func TestStopReachesTheServerAtOnce(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(p llm.Provider, ctx context.Context, cancel func()) time.Time{
		"cancel": func(p llm.Provider, ctx context.Context, cancel func()) (at time.Time) {
			for chunk, err := range p.Stream(ctx, ask("hello")) {
				if err == nil && chunk.Text != "" && at.IsZero() {
					at = time.Now()
					cancel()
				}
			}
			return at
		},
		"break": func(p llm.Provider, ctx context.Context, _ func()) (at time.Time) {
			for chunk, err := range p.Stream(ctx, ask("hello")) {
				if err != nil || chunk.Text != "" {
					break
				}
			}
			return time.Now()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, server := provider(t, fakellm.Options{Default: fakellm.Reply{Words: 5000, Delay: 2 * time.Millisecond}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			at := stop(p, ctx, cancel)
			if err := server.WaitDisconnects(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			record := server.Records()[0]
			if took := record.Disconnected.Sub(at); took > pace.Patience*100*time.Millisecond {
				t.Errorf("the server saw the disconnect %s after the %s", took, name)
			}
			if late := record.LastByte.Sub(at); late > pace.Patience*100*time.Millisecond {
				t.Errorf("the server still sent %s after the %s", late, name)
			}
		})
	}
}

func TestKeysNeverShow(t *testing.T) {
	t.Parallel()
	echo := func(status int) fakellm.Reply {
		return fakellm.Reply{Failure: &fakellm.Failure{
			Status: status, Body: fmt.Sprintf(`{"error":{"message":"Incorrect API key provided: %s. Sent: Bearer %s","code":"%s"}}`, key, key, key),
		}}
	}
	for name, reply := range map[string]fakellm.Reply{
		"echoed in a 401":       echo(401),
		"echoed in a 500":       echo(500),
		"echoed as text":        {Failure: &fakellm.Failure{Status: 400, Body: "no access for " + key}},
		"echoed in the stream":  {Words: 3, FailAfter: 1, StreamError: `{"error":{"message":"key ` + key + ` expired"}}`},
		"with a cut connection": {Words: 3, CutAfter: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := provider(t, fakellm.Options{Default: reply})
			turn := llmtest.Collect(t.Context(), t, p, ask("hello"))
			if turn.Err == nil {
				t.Fatal("the turn did not fail")
			}
			for err := turn.Err; err != nil; err = errors.Unwrap(err) {
				for _, verb := range []string{"%v", "%+v", "%#v"} {
					if shown := fmt.Sprintf(verb, err); strings.Contains(shown, key) {
						t.Errorf("%s shows the key: %s", verb, shown)
					}
				}
			}
		})
	}
}
