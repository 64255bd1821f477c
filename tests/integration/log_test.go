package integration

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/collector"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// journal keeps what a process logs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) lines(t *testing.T) []map[string]any {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []map[string]any
	for line := range strings.Lines(j.text.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, fields)
	}
	return all
}

// about reports whether a line says anything of the run: by its id anywhere.
func about(line map[string]any, run uuid.UUID) bool {
	text, err := json.Marshal(line)
	return err != nil || strings.Contains(string(text), run.String())
}

// Everything that is logged of a run's life, at the level for those who debug, says whose it is; nothing says what
// was asked, answered, or what is secret: with a request, steps that fail, a tool, connectors that fail and a run that
// the reconciler ends.
func TestTheLogSaysWhoseAndNeverWhat(t *testing.T) {
	t.Parallel()
	const key, hookSecret, path, argument = "marker-key-0b1c2d", "whsec_bWFya2VyLWhvb2stc2VjcmV0LXdpdGgtMjQ=", "marker-path-6e7f", "marker-argument-a1a1" //nolint:gosec // made up, to be looked for
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("marker-receiver-3c3c"))
	}))
	t.Cleanup(down.Close)
	s := harness.NewSystem(t,
		fakellm.Rule{Contains: "killed", Reply: endless()},
		fakellm.Rule{Contains: "refused", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400, Body: `{"error":{"message":"` + spokenPrompt + `"}}`}}},
		fakellm.Rule{Times: 1, Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 503, Body: `{"error":{"message":"` + spokenPrompt + `"}}`}}},
		fakellm.Rule{Turn: fakellm.FirstTurn, Reply: calls("http_get", `{"url":"`+down.URL+`/`+argument+`"}`)},
		fakellm.Rule{Reply: says(spokenAnswer)})
	kept := &journal{}
	s.Log = telemetry.NewLogger(kept, slog.LevelDebug, "json")
	cfg := tracedTo(s, collector.New(t))
	cfg.Models.OpenAIKey = config.NewSecret(key)
	cfg.AlertsWebhookURL, cfg.AlertsWebhookSecret = config.NewURL(down.URL+"/"+path), config.NewSecret(hookSecret)
	cfg.Reconcile.Every = time.Second
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, withTools("http_get"))
	r := x.StartRun(t, map[string]any{"input": spokenPrompt, "webhook_url": down.URL + "/" + path + "-own"})
	harness.WantWhole(t, x.Follow(t, r.ID, 0).Rest(t))
	doomed := s.StartLimited(t, p, x, client.StartWorkflowOptions{WorkflowExecutionTimeout: 2 * time.Second}, runs.NewRun{Input: "to be killed " + spokenPrompt})
	x.Follow(t, doomed, 0).Rest(t)
	refused := x.StartRun(t, `{"input":"to be refused"}`)
	x.Follow(t, refused.ID, 0).Rest(t)
	x.Do(t, "GET", "/v1/runs/"+uuid.NewString(), nil).Want(t, 404)
	x.Do(t, "POST", "/v1/runs", `{"input":"`+spokenPrompt+`","nonsense":"`+spokenAnswer+`"}`).Want(t, 422)
	harness.Eventually(t, within, "a delivery failed", func() bool {
		for _, line := range kept.lines(t) {
			if line["ActivityType"] == "Deliver" && line["Error"] != nil {
				return true
			}
		}
		return false
	})
	must(t, p.Stop())

	lines := kept.lines(t)
	requests, ofRun, ofSDK, reconciled := 0, 0, 0, false
	for _, line := range lines {
		text, err := json.Marshal(line)
		must(t, err)
		for _, secret := range []string{
			spokenPrompt, spokenAnswer, key, hookSecret, strings.TrimPrefix(hookSecret, "whsec_"), path, argument, "marker-receiver", x.Token, harness.Secret,
		} {
			if strings.Contains(string(text), secret) {
				t.Errorf("a line of the log holds %q: %s", secret, text)
			}
		}
		want := []string{"tenant_id"}
		switch {
		case line["component"] == "temporal-sdk":
			if !about(line, r.ID) && !about(line, doomed) {
				continue
			}
			ofSDK++
			want = append(want, "run_id") // it logs without a context: nothing else is known there
		case line["msg"] == "request answered":
			if route, _ := line["route"].(string); strings.HasPrefix(route, "/healthz") || strings.HasPrefix(route, "/readyz") {
				continue
			}
			requests++
			want = append(want, "request_id", "trace_id", "span_id")
			if line["route"] == "/v1/openapi.json" { // is of no tenant
				want = want[1:]
			}
			if about(line, r.ID) {
				want = append(want, "run_id")
			}
		case line["msg"] == "a run was ended that its workflow could not end": // by the reconciler, whose passes are no traces
			ofRun++
			reconciled = true
			want = append(want, "run_id", "request_id")
		case about(line, r.ID) || about(line, doomed):
			ofRun++
			want = append(want, "run_id", "request_id", "trace_id", "span_id")
		default:
			continue
		}
		for _, name := range want {
			if value, _ := line[name].(string); value == "" {
				t.Errorf("a line lacks %s: %s", name, text)
			}
		}
	}
	t.Logf("%d lines: %d of requests, %d of runs, %d of the SDK about them", len(lines), requests, ofRun, ofSDK)
	if requests < 5 || ofRun < 5 || ofSDK < 10 || !reconciled {
		t.Errorf("too few lines to prove anything: %d of requests, %d of runs, %d of the SDK", requests, ofRun, ofSDK)
	}
}
