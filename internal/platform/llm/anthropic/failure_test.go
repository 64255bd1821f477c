package anthropic_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/anthropic"
	"github.com/larirun/lari/internal/platform/llm/llmtest"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/pace"
)

func TestFailuresHaveTheirClass(t *testing.T) {
	t.Parallel()
	problem := func(status int, kind, message string) fakellm.Reply {
		return fakellm.Reply{Failure: &fakellm.Failure{
			Status: status, Body: fmt.Sprintf(`{"type":"error","error":{"type":%q,"message":%q}}`, kind, message),
		}}
	}
	event := func(kind string) fakellm.Reply {
		return fakellm.Reply{Words: 9, FailAfter: 2, StreamError: fmt.Sprintf(`{"type":"error","error":{"type":%q,"message":"told in the stream"}}`, kind)}
	}
	tests := map[string]struct {
		reply  fakellm.Reply
		class  llm.Class
		status int
		after  time.Duration
		detail string
	}{
		"rate limited":                   {reply: fakellm.Reply{Failure: fakellm.RateLimited("11")}, class: llm.ClassRateLimited, status: 429, after: 11 * time.Second},
		"overloaded":                     {reply: problem(529, "overloaded_error", "Overloaded"), class: llm.ClassOverloaded, status: 529, detail: "Overloaded"},
		"server error":                   {reply: problem(500, "api_error", "Internal"), class: llm.ClassOverloaded, status: 500},
		"wrong key":                      {reply: problem(401, "authentication_error", "invalid x-api-key"), class: llm.ClassAuth, status: 401, detail: "invalid x-api-key"},
		"forbidden":                      {reply: problem(403, "permission_error", "no"), class: llm.ClassAuth, status: 403},
		"billing":                        {reply: problem(402, "billing_error", "pay"), class: llm.ClassAuth, status: 402},
		"no credit":                      {reply: problem(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."), class: llm.ClassAuth, status: 400},
		"not found":                      {reply: problem(404, "not_found_error", "model: x"), class: llm.ClassBadRequest, status: 404},
		"too large":                      {reply: problem(413, "request_too_large", "Request exceeds the maximum size"), class: llm.ClassBadRequest, status: 413},
		"too long":                       {reply: problem(400, "invalid_request_error", "prompt is too long: 200001 tokens > 200000 maximum"), class: llm.ClassContextLength, status: 400},
		"bad request":                    {reply: problem(400, "invalid_request_error", "messages: roles must alternate"), class: llm.ClassBadRequest, status: 400},
		"cut":                            {reply: fakellm.Reply{Words: 9, CutAfter: 3}, class: llm.ClassOverloaded, detail: "broke off"},
		"cut at end":                     {reply: fakellm.Reply{Words: 9, CutAtEnd: true}, class: llm.ClassOverloaded, detail: "broke off"},
		"overloaded, told in the stream": {reply: event("overloaded_error"), class: llm.ClassOverloaded, detail: "told in the stream"},
		"rate limit, told in the stream": {reply: event("rate_limit_error"), class: llm.ClassRateLimited, detail: "told in the stream"},
		"timeout, told in the stream":    {reply: event("timeout_error"), class: llm.ClassTimeout, detail: "told in the stream"},
		"request, told in the stream":    {reply: event("invalid_request_error"), class: llm.ClassBadRequest, detail: "told in the stream"},
		"unknown, told in the stream":    {reply: event("brand_new_error"), class: llm.ClassOverloaded, detail: "told in the stream"},
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
			if got.Class != test.class || got.Status != test.status || got.RetryAfter != test.after || !strings.Contains(got.Detail, test.detail) {
				t.Errorf("got %+v, want class %s, status %d, after %s, detail with %q", got, test.class, test.status, test.after, test.detail)
			}
			if n := server.Stats().Requests; n != 1 {
				t.Errorf("%d requests: the provider retried", n)
			}
		})
	}
}

// play answers with the given events.
func play(t *testing.T, events ...string) llm.Provider {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range events {
			_, _ = fmt.Fprint(w, e+"\n\n")
		}
	}))
	t.Cleanup(server.Close)
	return anthropic.New(anthropic.Config{APIKey: key, BaseURL: server.URL, HTTPClient: server.Client()})
}

func TestAStreamWithoutMessageStopIsCut(t *testing.T) {
	t.Parallel()
	p := play(t, "event: message_start\ndata: "+`{"type":"message_start","message":{"model":"m","usage":{"input_tokens":9}}}`,
		"event: message_delta\ndata: "+`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}`)
	turn := llmtest.Collect(t.Context(), t, p, ask("q"))
	var got *llm.Error
	if !errors.As(turn.Err, &got) || got.Class != llm.ClassOverloaded || got.Usage != (llm.Usage{InputTokens: 9, OutputTokens: 4}) {
		t.Errorf("error %+v, want overloaded with the usage that was reported", turn.Err)
	}
}

// Compatible servers send the content with its block instead of in deltas, and leave empty pieces.
func TestContentThatComesWithItsBlock(t *testing.T) {
	t.Parallel()
	p := play(t, "event: message_start\ndata: "+`{"type":"message_start","message":{"model":"m-2","usage":{"input_tokens":2,"cache_read_input_tokens":5,"cache_creation_input_tokens":1}}}`,
		"event: content_block_start\ndata: "+`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}}`,
		"event: content_block_stop\ndata: "+`{"type":"content_block_stop","index":0}`,
		"event: content_block_start\ndata: "+`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{"a": 1}}}`,
		"event: content_block_delta\ndata: "+`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}`,
		"event: content_block_stop\ndata: "+`{"type":"content_block_stop","index":1}`,
		"event: message_delta\ndata: "+`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}`,
		"event: message_stop\ndata: "+`{"type":"message_stop"}`)
	turn := llmtest.Collect(t.Context(), t, p, ask("q"))
	if turn.Err != nil || turn.Text != "Hi" || len(turn.Calls) != 1 || turn.Calls[0] != (llm.ToolCall{ID: "t1", Name: "f", Arguments: `{"a": 1}`}) {
		t.Fatalf("turn %+v", turn)
	}
	if turn.Done.Usage != (llm.Usage{InputTokens: 8, OutputTokens: 3, CachedTokens: 5, CacheWriteTokens: 1}) || turn.Done.Model != "m-2" {
		t.Errorf("done %+v", turn.Done)
	}
}

// On a cut the input tokens are the provider's own, from message_start; the output is estimated.
func TestUsage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reply fakellm.Reply
		want  llm.Usage
	}{
		"whole": {reply: fakellm.Reply{Text: "12345678", Usage: &fakellm.Usage{Input: 321, Output: 45}}, want: llm.Usage{InputTokens: 321, OutputTokens: 45}},
		"cut":   {reply: fakellm.Reply{Text: "1234 5678 9", CutAfter: 2, Usage: &fakellm.Usage{Input: 321, Output: 45}}, want: llm.Usage{InputTokens: 321, OutputTokens: 3, Estimated: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := provider(t, fakellm.Options{Default: test.reply})
			turn := llmtest.Collect(t.Context(), t, p, ask("hello"))
			got, _ := llm.PartialUsage(turn.Err)
			if turn.Done != nil {
				got = turn.Done.Usage
			}
			if got != test.want {
				t.Errorf("usage %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestFinishReasons(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]llm.FinishReason{
		"end_turn": llm.FinishStop, "stop_sequence": llm.FinishStop, "pause_turn": "pause_turn", "max_tokens": llm.FinishLength,
		"model_context_window_exceeded": llm.FinishLength, "refusal": llm.FinishFilter, "tool_use": llm.FinishToolCalls, "brand_new": "brand_new",
	} {
		t.Run(sent, func(t *testing.T) {
			t.Parallel()
			p, _ := provider(t, fakellm.Options{Default: fakellm.Reply{Text: "x", FinishReason: sent}})
			if turn := llmtest.Collect(t.Context(), t, p, ask("q")); turn.Err != nil || turn.Done.Reason != want {
				t.Errorf("%+v, error %v; want %s", turn.Done, turn.Err, want)
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
			p := anthropic.New(anthropic.Config{
				APIKey: key, BaseURL: server.URL, HTTPClient: &http.Client{Transport: &http.Transport{}}, IdleTimeout: 60 * time.Millisecond,
			})
			turn := llmtest.Collect(t.Context(), t, p, ask("hello"))
			var got *llm.Error
			if !errors.As(turn.Err, &got) || got.Class != llm.ClassTimeout {
				t.Fatalf("error %v, want class timeout", turn.Err)
			}
			if err := server.WaitDisconnects(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	}
}

// The server sees the client leave within 100 ms (on an idle machine) of a cancel.
func TestStopReachesTheServerAtOnce(t *testing.T) {
	t.Parallel()
	p, server := provider(t, fakellm.Options{Default: fakellm.Reply{Words: 5000, Delay: 2 * time.Millisecond}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var at time.Time
	for chunk, err := range p.Stream(ctx, ask("hello")) {
		if err == nil && chunk.Text != "" && at.IsZero() {
			at = time.Now()
			cancel()
		}
	}
	if err := server.WaitDisconnects(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	record := server.Records()[0]
	if took := record.Disconnected.Sub(at); took > pace.Patience*100*time.Millisecond {
		t.Errorf("the server saw the disconnect %s after the cancel", took)
	}
	if late := record.LastByte.Sub(at); late > pace.Patience*100*time.Millisecond {
		t.Errorf("the server still sent %s after the cancel", late)
	}
}

func TestKeysNeverShow(t *testing.T) {
	t.Parallel()
	object := `{"type":"error","error":{"type":"authentication_error","message":"invalid key ` + key + `, sent as x-api-key: ` + key + `"}}`
	for name, reply := range map[string]fakellm.Reply{
		"echoed in a 401":       {Failure: &fakellm.Failure{Status: 401, Body: object}},
		"echoed in a 500":       {Failure: &fakellm.Failure{Status: 500, Body: object}},
		"echoed as text":        {Failure: &fakellm.Failure{Status: 400, Body: "no access for " + key}},
		"echoed in the stream":  {Words: 3, FailAfter: 1, StreamError: object},
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
