package llm_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/anthropic"
	"github.com/larirun/lari/internal/platform/llm/llmtest"
	"github.com/larirun/lari/internal/platform/llm/openai"
	"github.com/larirun/lari/tests/fakellm"
)

const zooKey = "sk-live-0123456789"

// zooProvider returns the provider that speaks the scenario's format, in front of the server. Its limits are short only
// where the scenario runs into them: a busy machine is no silent provider.
func zooProvider(t *testing.T, s fakellm.Scenario, server *fakellm.Server) llm.Provider {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, idle, wait := &http.Client{Transport: transport}, time.Minute, time.Minute
	if s.Reply.Wire != nil && s.Reply.Wire.Then >= fakellm.ThenSilence {
		idle, wait = 400*time.Millisecond, 400*time.Millisecond
	}
	if s.Format == "anthropic" {
		return anthropic.New(anthropic.Config{APIKey: zooKey, BaseURL: server.URL, HTTPClient: client, IdleTimeout: idle, FinishWait: wait})
	}
	return openai.New(openai.Config{APIKey: zooKey, BaseURL: server.OpenAIURL(), HTTPClient: client, IdleTimeout: idle, FinishWait: wait})
}

func TestZoo_HasItsOutcomes(t *testing.T) {
	t.Parallel()
	scenarios := fakellm.Zoo()
	if len(scenarios) < 60 {
		t.Errorf("the zoo has %d scenarios", len(scenarios))
	}
	seen := map[string]bool{}
	for _, s := range scenarios {
		if seen[s.Name] || s.Source == "" {
			t.Errorf("%q is there twice, or has no source", s.Name)
		}
		seen[s.Name] = true
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			server := fakellm.Start(fakellm.Options{Default: s.Reply, Strict: true})
			t.Cleanup(server.Close)
			turn := llmtest.Collect(t.Context(), t, zooProvider(t, s, server), llm.Request{
				Model: "m-0", Messages: []llm.Message{{Role: llm.RoleUser, Content: "What is it?"}},
			})
			wantOutcome(t, turn, s.Want)
			if n := server.Stats().Requests; n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func wantOutcome(t *testing.T, turn llmtest.Turn, want fakellm.Outcome) {
	t.Helper()
	if turn.Text != want.Text {
		t.Errorf("text %q, want %q", turn.Text, want.Text)
	}
	if want.Hidden != "" && strings.Contains(turn.Text, want.Hidden) {
		t.Errorf("the text shows %q", want.Hidden)
	}
	if want.Class != "" || turn.Err != nil {
		wantFailure(t, turn.Err, want)
		return
	}
	if string(turn.Done.Reason) != want.Reason {
		t.Errorf("reason %q, want %q", turn.Done.Reason, want.Reason)
	}
	wantUsage(t, turn.Done.Usage, want.Usage)
	if len(turn.Calls) != len(want.Calls) || len(turn.Done.Unfinished) != len(want.Unfinished) {
		t.Fatalf("calls %+v and unfinished %+v, want %+v and %q", turn.Calls, turn.Done.Unfinished, want.Calls, want.Unfinished)
	}
	ids := map[string]bool{}
	for i, got := range turn.Calls {
		expected := want.Calls[i]
		if expected.ID == "" {
			expected.ID = got.ID
		}
		if got.ID == "" || ids[got.ID] || got.ID != expected.ID || got.Name != expected.Name || got.Arguments != expected.Arguments {
			t.Errorf("call %d is %+v, want %+v", i, got, want.Calls[i])
		}
		ids[got.ID] = true
	}
	for i, got := range turn.Done.Unfinished {
		if got.Name != want.Unfinished[i] || got.Why == "" || got.ID == "" || ids[got.ID] {
			t.Errorf("unfinished call %d is %+v, want %q", i, got, want.Unfinished[i])
		}
	}
}

func wantUsage(t *testing.T, got llm.Usage, want fakellm.Usage) {
	t.Helper()
	estimated := want.Input == 0 || want.Output == 0
	if got.Estimated != estimated || got.InputTokens <= 0 || got.OutputTokens < 0 || got.InputTokens > 1000 || got.OutputTokens > 1000 {
		t.Errorf("usage %+v, want %+v, estimated %t", got, want, estimated)
	}
	if want.Input > 0 && got.InputTokens != int64(want.Input) || want.Output > 0 && got.OutputTokens != int64(want.Output) {
		t.Errorf("usage %+v, want %+v", got, want)
	}
}

func wantFailure(t *testing.T, err error, want fakellm.Outcome) {
	t.Helper()
	var got *llm.Error
	if !errors.As(err, &got) {
		t.Fatalf("error %v, want class %q", err, want.Class)
	}
	if string(got.Class) != want.Class || !strings.Contains(got.Detail, want.Detail) || got.Detail == "" || len([]rune(got.Detail)) > 500 {
		t.Errorf("class %s, detail %q; want %s and %q", got.Class, got.Detail, want.Class, want.Detail)
	}
	if want.Hidden != "" && strings.Contains(got.Detail, want.Hidden) {
		t.Errorf("the detail shows %q: %s", want.Hidden, got.Detail)
	}
}
