package openai_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/llmtest"
	"github.com/larirun/lari/internal/platform/llm/openai"
	"github.com/larirun/lari/tests/fakellm"
)

// TestHabitsOfServers plays streams as different servers write them.
func TestHabitsOfServers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lines  []string
		text   string
		calls  []llm.ToolCall // an empty id stands for any
		reason llm.FinishReason
		usage  llm.Usage
		failed bool
	}{
		"usage in a chunk of its own": {
			lines: []string{
				`{"model":"m-2","choices":[{"index":0,"delta":{"content":"Hi"}}]}`,
				`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
				`{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}`, `[DONE]`,
			},
			text: "Hi", reason: llm.FinishStop, usage: llm.Usage{InputTokens: 12, OutputTokens: 3},
		},
		"no usage": {
			lines: []string{`{"choices":[{"index":0,"delta":{"content":"12345678"},"finish_reason":"stop"}]}`, `[DONE]`},
			text:  "12345678", reason: llm.FinishStop, usage: llm.Usage{InputTokens: 2, OutputTokens: 2, Estimated: true},
		},
		"no [DONE]": {
			lines: []string{`{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"length"}]}`},
			text:  "x", reason: llm.FinishLength, usage: llm.Usage{InputTokens: 2, OutputTokens: 1, Estimated: true},
		},
		"no finish_reason": {
			lines: []string{`{"choices":[{"index":0,"delta":{"content":"x"}}]}`, `[DONE]`},
			text:  "x", reason: llm.FinishStop, usage: llm.Usage{InputTokens: 2, OutputTokens: 1, Estimated: true},
		},
		"neither: a cut stream": {lines: []string{`{"choices":[{"index":0,"delta":{"content":"x"}}]}`}, text: "x", failed: true},
		"a gateway's upstream broke": {
			lines: []string{`{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"error"}]}`, `[DONE]`}, text: "x", failed: true,
		},
		"error null with every piece": {
			lines: []string{`{"error":null,"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"content_filter"}]}`, `[DONE]`},
			text:  "x", reason: llm.FinishFilter, usage: llm.Usage{InputTokens: 2, OutputTokens: 1, Estimated: true},
		},
		"pieces of two calls, mixed": {
			lines: []string{
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":""}}]}}]}`,
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"two","arguments":"{\"y\""}}]}}]}`,
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}},{"index":1,"function":{"arguments":":2}"}}]}}]}`,
				`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, `[DONE]`,
			},
			calls:  []llm.ToolCall{{ID: "a", Name: "one", Arguments: `{"x":1}`}, {ID: "b", Name: "two", Arguments: `{"y":2}`}},
			reason: llm.FinishToolCalls, usage: llm.Usage{InputTokens: 1, OutputTokens: 1},
		},
		"whole calls that share index 0, reason stop": {
			lines: []string{
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"{}"}}]}}]}`,
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"one","arguments":"{\"n\":2}"}}]},"finish_reason":"stop"}]}`,
				`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, `[DONE]`,
			},
			calls:  []llm.ToolCall{{ID: "a", Name: "one", Arguments: `{}`}, {ID: "b", Name: "one", Arguments: `{"n":2}`}},
			reason: llm.FinishToolCalls, usage: llm.Usage{InputTokens: 1, OutputTokens: 1},
		},
		"whole calls without index and id": {
			lines: []string{
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"function":{"name":"one","arguments":"{}"}},{"function":{"name":"two","arguments":""}}]}}]}`,
				`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, `[DONE]`,
			},
			calls:  []llm.ToolCall{{Name: "one", Arguments: `{}`}, {Name: "two", Arguments: `{}`}},
			reason: llm.FinishToolCalls, usage: llm.Usage{InputTokens: 1, OutputTokens: 1},
		},
		"a call cut by the token limit": {
			lines: []string{
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"one","arguments":"{\"x\":"}}]}}]}`,
				`{"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, `[DONE]`,
			},
			reason: llm.FinishLength, usage: llm.Usage{InputTokens: 1, OutputTokens: 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = fmt.Fprintf(w, ": comment\n\ndata: %s\n\n", strings.Join(test.lines, "\n\ndata: "))
			}))
			defer server.Close()
			p := openai.New(openai.Config{BaseURL: server.URL, HTTPClient: server.Client()})
			turn := llmtest.Collect(t.Context(), t, p, ask("question"))
			if turn.Text != test.text || (turn.Err != nil) != test.failed {
				t.Fatalf("text %q, error %v; want %q, failed %t", turn.Text, turn.Err, test.text, test.failed)
			}
			if test.failed {
				return
			}
			for i := range min(len(turn.Calls), len(test.calls)) {
				if test.calls[i].ID == "" && turn.Calls[i].ID != "" {
					test.calls[i].ID = turn.Calls[i].ID
				}
			}
			if !reflect.DeepEqual(turn.Calls, test.calls) {
				t.Errorf("calls %+v, want %+v", turn.Calls, test.calls)
			}
			if turn.Done.Reason != test.reason || turn.Done.Usage != test.usage {
				t.Errorf("done %+v, want reason %s, usage %+v", turn.Done, test.reason, test.usage)
			}
		})
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	p, server := provider(t, fakellm.Options{APIKey: key})
	temperature := 0.25
	turn := llmtest.Collect(t.Context(), t, p, llm.Request{
		Model: "m", System: "Be kind.", MaxTokens: 77, Temperature: &temperature,
		Messages: []llm.Message{
			{Role: llm.RoleUser, Content: "q"},
			{Role: llm.RoleAssistant, ToolCalls: []llm.ToolCall{{ID: "c1", Name: "f", Arguments: `{"a":1}`}, {ID: "c2", Name: "f", Arguments: `{broken`}}},
			{Role: llm.RoleTool, ToolCallID: "c1", ToolName: "f", Content: "one"},
			{Role: llm.RoleTool, ToolCallID: "c2", ToolName: "f", Content: "no such thing", IsError: true},
		},
		Tools: []llm.Tool{{Name: "f", Description: "does f", Parameters: json.RawMessage(`{"type":"object","properties":{"a":{"type":"integer"}}}`)}},
	})
	if turn.Err != nil {
		t.Fatal(turn.Err)
	}
	record := server.Records()[0]
	want := `{"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":77,"temperature":0.25,
	"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"q"},
	{"role":"assistant","tool_calls":[
	 {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
	 {"id":"c2","type":"function","function":{"name":"f","arguments":"{}"}}]},
	{"role":"tool","tool_call_id":"c1","content":"one"},
	{"role":"tool","tool_call_id":"c2","content":"Error: no such thing"}],
	"tools":[{"type":"function","function":{"name":"f","description":"does f","parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}}]}`
	if got, expected := decode(t, record.Body), decode(t, []byte(want)); !reflect.DeepEqual(got, expected) {
		t.Errorf("sent %s\nwant %s", record.Body, want)
	}
	if got := record.Header.Get("Authorization"); got != "Bearer "+key {
		t.Errorf("Authorization %q", got)
	}
}

func TestNoKeyNoHeader(t *testing.T) {
	t.Parallel()
	server := fakellm.Start(fakellm.Options{KeepBodies: true})
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	p := openai.New(openai.Config{BaseURL: server.OpenAIURL() + "/", HTTPClient: &http.Client{Transport: transport}})
	if turn := llmtest.Collect(t.Context(), t, p, ask("q")); turn.Err != nil {
		t.Fatal(turn.Err)
	}
	if _, sent := server.Records()[0].Header["Authorization"]; sent {
		t.Error("an Authorization header was sent without a key")
	}
}

// OpenAI's own reasoning models refuse max_tokens.
func TestOpenAIItselfGetsMaxCompletionTokens(t *testing.T) {
	t.Parallel()
	var body string
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		text, err := io.ReadAll(r.Body)
		body = string(text)
		return &http.Response{StatusCode: http.StatusTeapot, Body: http.NoBody, Request: r, Header: http.Header{}}, err
	})}
	req := ask("q")
	req.MaxTokens = 9
	_ = llmtest.Collect(t.Context(), t, openai.New(openai.Config{APIKey: key, HTTPClient: client}), req)
	if !strings.Contains(body, `"max_completion_tokens":9`) || strings.Contains(body, `"max_tokens"`) {
		t.Errorf("sent %s", body)
	}
}

func TestAToolWithoutASchemaObjectIsRefused(t *testing.T) {
	t.Parallel()
	p, server := provider(t, fakellm.Options{})
	req := ask("q")
	req.Tools = []llm.Tool{{Name: "f", Parameters: json.RawMessage(`[]`)}}
	turn := llmtest.Collect(t.Context(), t, p, req)
	if turn.Err == nil || !strings.Contains(turn.Err.Error(), "bad_request") || server.Stats().Requests != 0 {
		t.Errorf("error %v after %d requests, want bad_request before any", turn.Err, server.Stats().Requests)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func decode(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
