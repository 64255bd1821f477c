package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// setting is what tenants must not read: which of the operator's settings is missing.
const setting = "ANTHROPIC_API_KEY"

// wantRefused demands a 422 on the field that names the setting to the platform alone.
func wantRefused(t *testing.T, a harness.Answer, field string, named bool) {
	t.Helper()
	p := a.WantProblem(t, 422, "validation_failed")
	if len(p.Errors) != 1 || p.Errors[0].Field != field || p.Errors[0].Rule != "configured" {
		t.Errorf("refused with %s", a.Body)
	}
	if got := strings.Contains(string(a.Body), setting); got != named {
		t.Errorf("the setting is named: %t, want %t, in %s", got, named, a.Body)
	}
}

// platformOf returns the same client with the platform's own token.
func platformOf(t *testing.T, x *harness.Tenant) *harness.Tenant {
	t.Helper()
	y := *x
	y.Token = harness.Token(t, x.ID, auth.RoleService)
	return &y
}

func TestAgent_AModelWithoutAKeyIsRefused(t *testing.T) {
	t.Parallel()
	x := harness.NewSystem(t).Start(t, harness.All).NewTenant(t, agents.Config{})
	var made agents.Agent
	x.Do(t, "GET", "/v1/agents/assistant", nil).Want(t, 200, &made)
	for who, c := range map[string]struct {
		client *harness.Tenant
		named  bool
	}{"tenant": {x, false}, "platform": {platformOf(t, x), true}} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			body := json.RawMessage(`{"slug": "claude", "name": "Claude", "config": {"model": "anthropic/claude-x"}}`)
			wantRefused(t, c.client.Do(t, "POST", "/v1/agents", body), "config.model", c.named)
			wantRefused(t, c.client.Do(t, "PATCH", "/v1/agents/"+made.ID.String(), json.RawMessage(`{"config": {"model": "anthropic"}}`)), "config.model", c.named)
		})
	}
	for _, model := range []string{"acme/m", "gpt-4.1-mini"} {
		p := x.Do(t, "POST", "/v1/agents", map[string]any{"slug": "other", "name": "Other", "config": map[string]string{"model": model}}).WantProblem(t, 422, "validation_failed")
		if len(p.Errors) != 1 || p.Errors[0].Field != "config.model" {
			t.Errorf("%s is refused with %+v", model, p)
		}
	}
	x.Do(t, "POST", "/v1/agents", json.RawMessage(`{"slug": "own", "name": "Own", "config": {"model": "builtin"}}`)).Want(t, 201)
	x.Do(t, "PATCH", "/v1/agents/"+made.ID.String(), json.RawMessage(`{"config": {"model": "openai/gpt-x"}}`)).Want(t, 200)
}

// An agent whose provider lost its key stays, can be changed, and starts no run by any way.
func TestRun_AnAgentWhoseProviderLostItsKeyIsRefused(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: says("Hello.")})
	with := s.Config
	with.Models.AnthropicKey, with.Models.AnthropicBaseURL = config.NewSecret("test"), s.Model.URL
	p := s.StartWith(t, with, harness.All)
	x := p.NewTenant(t, agents.Config{Model: "anthropic/claude-x"})
	r := x.StartRun(t, `{"input": "hello"}`)
	if end := last(wholeLog(t, x, r.ID)); end.Type != event.RunCompleted {
		t.Fatalf("with a key the run ends with %s", end.Data)
	}
	must(t, p.Stop())

	x.URL = s.Start(t, harness.All).URL
	run, template := `{"input": "hello"}`, `{"name": "nightly", "spec": {"cron": ["0 3 * * *"]}, "run": {"input": "hello"}}`
	for who, c := range map[string]struct {
		client *harness.Tenant
		named  bool
	}{"tenant": {x, false}, "platform": {platformOf(t, x), true}} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/v1/runs", "/v1/runs/wait", "/v1/runs/stream"} {
				wantRefused(t, c.client.Do(t, "POST", path, json.RawMessage(run)), "agent", c.named)
			}
			wantRefused(t, c.client.Do(t, "POST", "/v1/runs/"+r.ID.String()+"/retry", json.RawMessage(`{}`)), "agent", c.named)
			wantRefused(t, c.client.Do(t, "POST", "/v1/runs/"+r.ID.String()+"/fork", json.RawMessage(`{"step": 1}`)), "agent", c.named)
			p := c.client.Do(t, "POST", "/v1/schedules", json.RawMessage(template)).WantProblem(t, 422, "validation_failed")
			if len(p.Errors) != 1 || p.Errors[0].Rule != "configured" {
				t.Errorf("a schedule is refused with %+v", p)
			}
		})
	}
	var agent agents.Agent
	x.Do(t, "GET", "/v1/agents/assistant", nil).Want(t, 200, &agent)
	x.Do(t, "PATCH", "/v1/agents/"+agent.ID.String(), json.RawMessage(`{"name": "Still here"}`)).Want(t, 200)
}

// A worker may lack what the API has: the run that was accepted ends, and its tenant is not told of the setting.
func TestRun_AWorkerWithoutTheKeyFailsTheRun(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	with := s.Config
	with.Models.AnthropicKey = config.NewSecret("test")
	api := s.StartWith(t, with, app.Options{API: true})
	s.Start(t, app.Options{Worker: true})
	x := api.NewTenant(t, agents.Config{Model: "anthropic/claude-x"})
	r := x.StartRun(t, `{"input": "hello"}`)
	end := last(wholeLog(t, x, r.ID))
	failed := harness.Payload[event.Failed](t, end)
	if failed.Code != event.ErrorModel || !strings.Contains(failed.Message, "anthropic") || strings.Contains(string(end.Data), setting) {
		t.Errorf("the run ended with %s", end.Data)
	}
}
