package anthropic_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/anthropic"
	"github.com/larirun/lari/internal/platform/llm/llmtest"
	"github.com/larirun/lari/tests/fakellm"
)

const key = "sk-ant-test-0123456789abcdef"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider gives a provider in front of a fake server; both end with the test.
func provider(t *testing.T, options fakellm.Options) (*anthropic.Provider, *fakellm.Server) {
	t.Helper()
	options.KeepBodies = true
	server := fakellm.Start(options)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return anthropic.New(anthropic.Config{
		APIKey: key + "\n", BaseURL: server.URL, HTTPClient: &http.Client{Transport: transport}, IdleTimeout: 5 * time.Second,
	}), server
}

func ask(text string) llm.Request {
	return llm.Request{Model: "claude-fake", Messages: []llm.Message{{Role: llm.RoleUser, Content: text}}}
}

func TestConformance(t *testing.T) {
	llmtest.Run(t, llmtest.Subject{
		Short: func(t *testing.T) (llm.Provider, llm.Request, string) {
			const text = "Selamat pagi, dunia!\nA second  line."
			p, _ := provider(t, fakellm.Options{APIKey: key, Default: fakellm.Reply{Text: text}})
			return p, ask("hello"), text
		},
		Long: func(t *testing.T) (llm.Provider, llm.Request) {
			p, _ := provider(t, fakellm.Options{Default: fakellm.Reply{Words: 5000, Delay: time.Millisecond}})
			return p, ask("a long one")
		},
		ToolCalls: func(t *testing.T) (llm.Provider, llm.Request, []llm.ToolCall) {
			p, _ := provider(t, fakellm.Options{Default: fakellm.Reply{Text: "Let me look.", ToolCalls: []fakellm.ToolCall{
				{ID: "toolu_a", Name: "search", Arguments: `{"query":"durian"}`},
				{ID: "toolu_b", Name: "clock", Arguments: ``},
			}}})
			return p, ask("look"), []llm.ToolCall{
				{ID: "toolu_a", Name: "search", Arguments: `{"query":"durian"}`},
				{ID: "toolu_b", Name: "clock", Arguments: `{}`},
			}
		},
	})
}

// TestWhatIsSent covers what the API insists on: roles alternate, all tool results of a turn stand at
// the head of one user message, no blank text, ids in its alphabet, arguments that are objects.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		messages []llm.Message
		want     string // the messages as sent
		system   string
	}{
		"tool loop with parallel calls, a failure and a message in between": {
			messages: []llm.Message{
				{Role: llm.RoleUser, Content: "q"},
				{Role: llm.RoleAssistant, Content: "Let me look. \n", ToolCalls: []llm.ToolCall{
					{ID: "call:1", Name: "f", Arguments: `{"a":1}`}, {ID: "c2", Name: "f", Arguments: `{broken`}, {ID: "c3", Name: "g"},
				}},
				{Role: llm.RoleTool, ToolCallID: "call:1", Content: "one"},
				{Role: llm.RoleUser, Content: "be quick"},
				{Role: llm.RoleTool, ToolCallID: "c2", IsError: true},
				{Role: llm.RoleTool, ToolCallID: "c3", Content: ""},
			},
			want: `[{"role":"user","content":[{"type":"text","text":"q"}]},
			{"role":"assistant","content":[{"type":"text","text":"Let me look."},
			 {"type":"tool_use","id":"call_1","name":"f","input":{"a":1}},
			 {"type":"tool_use","id":"c2","name":"f","input":{"malformed_arguments":"{broken"}},
			 {"type":"tool_use","id":"c3","name":"g","input":{}}]},
			{"role":"user","content":[
			 {"type":"tool_result","tool_use_id":"call_1","content":[{"type":"text","text":"one"}]},
			 {"type":"tool_result","tool_use_id":"c2","is_error":true,"content":[{"type":"text","text":"The tool failed without a message."}]},
			 {"type":"tool_result","tool_use_id":"c3"},
			 {"type":"text","text":"be quick"}]}]`,
		},
		"roles that repeat, blank messages and system messages": {
			messages: []llm.Message{
				{Role: llm.RoleSystem, Content: "Second rule."},
				{Role: llm.RoleUser, Content: "a"},
				{Role: llm.RoleUser, Content: "b"},
				{Role: llm.RoleAssistant, Content: "  "},
				{Role: llm.RoleUser, Content: "c"},
			},
			want:   `[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"text","text":"c"}]}]`,
			system: `,{"type":"text","text":"Second rule."}`,
		},
		"a conversation that begins with the assistant": {
			messages: []llm.Message{{Role: llm.RoleAssistant, Content: "Hello!"}, {Role: llm.RoleUser, Content: "q"}},
			want: `[{"role":"user","content":[{"type":"text","text":"(The beginning of the conversation was left out.)"}]},
			{"role":"assistant","content":[{"type":"text","text":"Hello!"}]},{"role":"user","content":[{"type":"text","text":"q"}]}]`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, server := provider(t, fakellm.Options{APIKey: key})
			temperature := 0.5
			turn := llmtest.Collect(t.Context(), t, p, llm.Request{
				Model: "m", System: "Be kind.", Messages: test.messages, Temperature: &temperature,
				Tools: []llm.Tool{{Name: "f", Description: "does f", Parameters: json.RawMessage(
					`{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}`)}},
			})
			if turn.Err != nil {
				t.Fatal(turn.Err)
			}
			want := `{"model":"m","max_tokens":4096,"stream":true,"temperature":0.5,"system":[{"type":"text","text":"Be kind."}` + test.system + `],
			"messages":` + test.want + `,
			"tools":[{"name":"f","description":"does f","input_schema":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}}]}`
			body := server.Records()[0].Body
			if got, expected := decode(t, body), decode(t, []byte(want)); !reflect.DeepEqual(got, expected) {
				t.Errorf("sent %s\nwant %s", body, want)
			}
		})
	}
}

func TestNothingToSayIsABadRequest(t *testing.T) {
	t.Parallel()
	p, server := provider(t, fakellm.Options{})
	turn := llmtest.Collect(t.Context(), t, p, ask("  "))
	if turn.Err == nil || server.Stats().Requests != 0 {
		t.Errorf("error %v after %d requests, want one before any", turn.Err, server.Stats().Requests)
	}
}

func decode(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
