package integration

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// thinking is a system whose model thinks before it calls tools, and whose provider refuses results without these
// thoughts.
func thinking(t *testing.T, style fakellm.Thoughts, rules ...fakellm.Rule) *harness.System {
	t.Helper()
	if rules == nil {
		rules = []fakellm.Rule{
			{Turn: fakellm.FirstTurn, Reply: fakellm.Reply{Text: "Let me see.", ToolCalls: []fakellm.ToolCall{
				{ID: "first", Name: "calculator", Arguments: `{"expression":"6*7"}`}, {ID: "second", Name: "calculator", Arguments: `{"expression":"1+1"}`},
			}}},
			{Turn: fakellm.AfterTools, Times: 1, Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{{ID: "third", Name: "calculator", Arguments: `{"expression":"2+2"}`}}}},
			{Turn: fakellm.AfterTools, Reply: fakellm.Reply{Text: "Done.", Think: true}},
		}
	}
	s := harness.NewSystemWith(t, fakellm.Options{Thoughts: style, Strict: true, KeepBodies: true, Rules: rules})
	s.Config.Models.AnthropicKey, s.Config.Models.AnthropicBaseURL = s.Config.Models.OpenAIKey, s.Model.URL
	return s
}

// styles are the ways to hand out thoughts, each with a model of its wire format.
func styles() map[fakellm.Thoughts]string {
	return map[fakellm.Thoughts]string{
		fakellm.ReasoningContent: "openai/m", fakellm.ReasoningDetails: "openai/m", fakellm.ThoughtSignature: "openai/m", fakellm.ContentParts: "openai/m",
		fakellm.ThinkingBlocks: "openai/m", fakellm.SignedIDs: "openai/m", "anthropic": "anthropic/m",
	}
}

func TestProviderData_ComesBackWithToolResults(t *testing.T) {
	t.Parallel()
	for style, model := range styles() {
		t.Run(string(style), func(t *testing.T) {
			t.Parallel()
			s := thinking(t, style)
			config := withTools("calculator")
			config.Model = model
			x := s.Start(t, harness.All).NewTenant(t, config)
			r := x.StartRun(t, `{"input": "compute"}`)
			events := wholeLog(t, x, r.ID)
			if r = x.FindRun(t, r.ID); r.Status != "completed" || *r.Output != "Done." {
				t.Fatalf("the run is %s: %s", r.Status, last(events).Data)
			}
			if n := s.Model.Stats().Requests; n != 3 {
				t.Errorf("the model was asked %d times, want 3", n)
			}
			wantHidden(t, x, r, events)
		})
	}
}

// wantHidden demands that nothing that a tenant can read holds what the model thought.
func wantHidden(t *testing.T, x *harness.Tenant, r harness.Run, events []event.Event) {
	t.Helper()
	shown := map[string][]byte{"the run": x.Do(t, "GET", path(r.ID, ""), nil).Body, "the engine's view": x.Do(t, "GET", "/v1/runtime/runs/"+r.ID.String(), nil).Body}
	for _, e := range events {
		shown[string(e.Type)] = append(shown[string(e.Type)], e.Data...)
	}
	for where, text := range shown {
		for _, secret := range []string{"wants", "sig/", fakellm.Redacted} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s shows %q: %.500s", where, secret, text)
			}
		}
	}
}

// Another model than the one that thought is not shown its thoughts: it could not read them, and providers refuse them.
func TestProviderData_StaysWithItsModel(t *testing.T) {
	t.Parallel()
	for style, model := range styles() {
		t.Run(string(style), func(t *testing.T) {
			t.Parallel()
			s := thinking(t, style)
			config := withTools("calculator")
			config.Model = model
			x := s.Start(t, harness.All).NewTenant(t, config)
			r := x.StartRun(t, `{"input": "compute"}`)
			wholeLog(t, x, r.ID)
			fork := func() string {
				before := len(s.Model.Records())
				var forked harness.Run
				x.Do(t, "POST", path(r.ID, "/fork"), map[string]int{"step": 2}).Want(t, 202, &forked)
				x.Follow(t, forked.ID, 0).Rest(t)
				return string(s.Model.Records()[before].Body)
			}
			thought := func(body string) bool {
				return strings.Contains(body, "wants") || strings.Contains(body, "thought_signature") || strings.Contains(body, fakellm.Redacted)
			}
			if style != fakellm.SignedIDs && !thought(fork()) { // whose signature is an id
				t.Error("a fork with the same model lacks the thoughts")
			}
			var agent agents.Agent
			x.Do(t, "GET", "/v1/agents/assistant", nil).Want(t, 200, &agent)
			for _, other := range []string{"openai/other", "anthropic/other"} {
				agent.Config.Model = other
				x.Do(t, "PATCH", "/v1/agents/"+agent.ID.String(), map[string]any{"config": agent.Config}).Want(t, 200)
				if body := fork(); thought(body) {
					t.Errorf("%s is shown the thoughts of %s: %s", other, model, body)
				}
			}
		})
	}
}

func TestReasoning_IsShownWhereTheAgentSaysSo(t *testing.T) {
	t.Parallel()
	for style, model := range styles() {
		if style == fakellm.ThoughtSignature || style == fakellm.SignedIDs {
			continue // they hand out no text
		}
		t.Run(string(style), func(t *testing.T) {
			t.Parallel()
			s := thinking(t, style)
			config := withTools("calculator")
			config.Model, config.ShowReasoning = model, true
			x := s.Start(t, harness.All).NewTenant(t, config)
			events := wholeLog(t, x, x.StartRun(t, `{"input": "compute"}`).ID)
			thoughts := map[int]string{}
			for _, e := range only(events, event.ReasoningDelta) {
				d := harness.Payload[event.Delta](t, e)
				thoughts[d.Step] += d.Text
				if d.MessageID == "" || d.Attempt != 1 {
					t.Errorf("a thought of no message: %s", e.Data)
				}
			}
			for step := 1; step <= 3; step++ {
				if thoughts[step] != fakellm.Thought {
					t.Errorf("step %d shows the thought %q, want %q", step, thoughts[step], fakellm.Thought)
				}
			}
			if answer := harness.Payload[event.Completed](t, last(events)).Output; answer != "Done." {
				t.Errorf("the answer is %q", answer)
			}
		})
	}
}

// Thoughts of an attempt that broke off are taken back as text is.
func TestReasoning_OfABrokenAttemptIsTakenBack(t *testing.T) {
	t.Parallel()
	s := thinking(t, fakellm.ReasoningContent,
		fakellm.Rule{Times: 1, Reply: fakellm.Reply{Text: "Done.", Think: true, CutAfter: 2}}, fakellm.Rule{Reply: fakellm.Reply{Text: "Done.", Think: true}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{Model: "openai/m", ShowReasoning: true})
	events := wholeLog(t, x, x.StartRun(t, `{"input": "compute"}`).ID)
	thought, restarts := "", 0
	for _, e := range events {
		switch e.Type { //nolint:exhaustive // the others are not about thoughts
		case event.ReasoningDelta:
			thought += harness.Payload[event.Delta](t, e).Text
		case event.AttemptRestarted:
			thought, restarts = "", restarts+1
		}
	}
	if restarts != 1 || thought != fakellm.Thought {
		t.Errorf("after %d restarts the thought is %q", restarts, thought)
	}
}

// A model that thinks for long says nothing that the log shows: it lives all the same, and its thoughts are billed.
func TestReasoning_CountsAsLifeAndIsBilled(t *testing.T) {
	t.Parallel()
	for style, model := range map[fakellm.Thoughts]string{fakellm.ReasoningContent: "openai/m", "anthropic": "anthropic/m"} {
		t.Run(string(style), func(t *testing.T) {
			t.Parallel()
			s := thinking(t, style, fakellm.Rule{Reply: fakellm.Reply{Text: "Done.", Think: true, Gated: true}})
			config := withTools("calculator")
			config.Model = model
			p := s.StartWith(t, s.Config, harness.All, func(a *app.App) { a.Runs.Explains.SlowAfter = time.Hour })
			x := p.NewTenant(t, config)
			r := x.StartRun(t, `{"input": "compute"}`)
			must(t, s.Model.WaitRequests(soon(t), 1))
			if _, reason := become(t, x, r.ID, runs.WhyThinking); strings.Contains(reason.Detail, "thinking about") {
				t.Errorf("before it thought: %q", reason.Detail)
			}
			s.Model.Release(3)
			must(t, s.Model.WaitChunks(soon(t), 3))
			harness.Eventually(t, within, "the model is seen to think", func() bool {
				return strings.Contains(reasonOf(t, x, r.ID, runs.WhyThinking).Detail, "thinking about")
			})
			x.Do(t, "POST", path(r.ID, "/cancel?wait=true"), `{"reason": "enough"}`).Want(t, 200)
			events := wholeLog(t, x, r.ID)
			billed := harness.Payload[event.Cancelled](t, last(events)).Usage
			if want := int64(len(fakellm.Thought)) / 5; billed.OutputTokens < want || !billed.Estimated {
				t.Errorf("billed %+v, want at least %d tokens of thoughts", billed, want)
			}
			if len(only(events, event.ReasoningDelta)) > 0 {
				t.Error("the thoughts are shown")
			}
		})
	}
}

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func TestProviderData_IsNeitherLoggedNorShownToSupabase(t *testing.T) {
	t.Parallel()
	s := thinking(t, fakellm.ReasoningDetails)
	var lines logged
	s.Log = slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config := withTools("calculator")
	config.Model = "openai/m"
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, config)
	r := x.StartRun(t, `{"input": "compute"}`)
	wholeLog(t, x, r.ID)
	must(t, p.Stop())
	for _, secret := range []string{"wants", "sig/", fakellm.Redacted} {
		if strings.Contains(lines.text.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	conn := s.Database.Conn(t)
	count := func(claims string) (n int) {
		tx, err := conn.Begin(t.Context())
		must(t, err)
		defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
		_, err = tx.Exec(t.Context(), `select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)`, claims)
		must(t, err)
		must(t, tx.QueryRow(t.Context(), `select count(*) from step_provider_data`).Scan(&n))
		return n
	}
	tenant := `"app_metadata":{"tenant_id":"` + x.ID.String() + `","role":"owner"}`
	if n := count(`{"role":"authenticated","lari_writer":true,` + tenant + `}`); n != 3 {
		t.Errorf("%d steps have data, want 3", n)
	}
	if n := count(`{"role":"authenticated",` + tenant + `}`); n != 0 {
		t.Errorf("a token of the tenant reads %d rows", n)
	}
}
