package openai_test

import (
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/llmtest"
	"github.com/larirun/lari/internal/platform/llm/openai"
	"github.com/larirun/lari/tests/fakellm"
)

const key = "sk-test-0123456789abcdef"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider gives a provider in front of a fake server; both end with the test.
func provider(t *testing.T, options fakellm.Options) (*openai.Provider, *fakellm.Server) {
	t.Helper()
	options.KeepBodies = true
	server := fakellm.Start(options)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return openai.New(openai.Config{
		APIKey: key, BaseURL: server.OpenAIURL(), HTTPClient: &http.Client{Transport: transport}, IdleTimeout: 5 * time.Second,
	}), server
}

func ask(text string) llm.Request {
	return llm.Request{Model: "gpt-fake", Messages: []llm.Message{{Role: llm.RoleUser, Content: text}}}
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
				{ID: "call_a", Name: "search", Arguments: `{"query":"durian"}`},
				{ID: "call_b", Name: "clock", Arguments: ``},
			}}})
			return p, ask("look"), []llm.ToolCall{
				{ID: "call_a", Name: "search", Arguments: `{"query":"durian"}`},
				{ID: "call_b", Name: "clock", Arguments: `{}`},
			}
		},
	})
}
