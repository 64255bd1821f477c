package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/knowledge"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/llm/builtin"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/internal/threads"
	"github.com/larirun/lari/internal/tools"
)

func TestAgentPortShowsAgentAndLimits(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx, _ := db.Tenant(t, "acme")
	registry, err := tools.New()
	if err != nil {
		t.Fatal(err)
	}
	service, err := agents.NewService(db.DB, toolNames{registry})
	if err != nil {
		t.Fatal(err)
	}
	tokens, cost := int64(700), "1.25"
	made, err := service.CreateAgent(ctx, agents.NewAgent{Slug: "support", Name: "Support", Config: agents.Config{
		MaxTokens: &tokens, MaxCostUSD: &cost, MaxSteps: 4, TimeoutSeconds: 90, ApprovalTTLSeconds: 3600,
	}})
	if err != nil {
		t.Fatal(err)
	}
	slugs, err := newTenantSlugs(tenants.NewService(db.DB))
	if err != nil {
		t.Fatal(err)
	}
	port := agentPort{service, slugs, modelCheck{llm.NewRouter("", llm.Configured{Provider: builtin.New(builtin.Config{}), DefaultModel: builtin.DefaultModel})}}
	for _, ref := range []string{"support", made.ID.String()} {
		got, err := port.ResolveAgent(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		l := got.Limits
		if got.ID != made.ID || got.Slug != "support" || got.Tenant != "acme" || got.Version != 1 || *l.MaxTokens != 700 || l.MaxCostUSD.String() != "1.25" || l.MaxSteps != 4 ||
			l.Timeout != 90*time.Second || l.ApprovalTTL != time.Hour {
			t.Errorf("%s: %+v", ref, got)
		}
	}
	if _, err := port.ResolveAgent(ctx, "nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing agent: %v", err)
	}
}

func TestThreadPortKeepsAndWithdrawsMessages(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx, _ := db.Tenant(t, "acme")
	service := threads.NewService(db.DB)
	thread, err := service.CreateThread(ctx, threads.NewThread{})
	if err != nil {
		t.Fatal(err)
	}
	port, run := threadPort{service}, uuid.Must(uuid.NewV7())
	if err := port.AppendMessages(ctx, thread.ID, run, []runs.InputMessage{{Role: "user", Content: "Hi"}, {Role: "assistant", Content: "Hello"}}); err != nil {
		t.Fatal(err)
	}
	kept := func() []threads.Message {
		found, err := service.FindMessages(ctx, thread.ID, page.Request{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return found.Items
	}
	got := kept()
	if len(got) != 2 || got[0].Role != "user" || got[1].Role != "assistant" || got[0].Content != "Hi" || *got[1].RunID != run {
		t.Errorf("the thread holds %+v", got)
	}
	if err := port.WithdrawMessages(ctx, thread.ID, run); err != nil {
		t.Fatal(err)
	}
	if got := kept(); len(got) != 0 {
		t.Errorf("after the withdrawal it holds %+v", got)
	}
}

func TestSearcherShowsHits(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx, _ := db.Tenant(t, "acme")
	service := knowledge.NewService(db.DB)
	if err := service.Add(ctx, knowledge.Document{Title: "Refunds", URI: "doc/refunds", Body: "Refunds take five days."}); err != nil {
		t.Fatal(err)
	}
	hits, err := searcher{service, telemetry.New(telemetry.Options{}).Knowledge}.Search(ctx, "refunds", 3)
	if err != nil || len(hits) != 1 {
		t.Fatalf("found %v, %v", hits, err)
	}
	if h := hits[0]; h.Title != "Refunds" || h.URI != "doc/refunds" || h.Content != "Refunds take five days." || h.Snippet == "" || h.Score <= 0 {
		t.Errorf("found %+v", h)
	}
}

// heard is a connector and what it was told.
type heard struct {
	connectors.Ignore
	types *[]event.Type
}

func (h heard) Name() string                { return "heard" }
func (h heard) Mode() connectors.Mode       { return connectors.Inline }
func (h heard) Wants(connectors.Event) bool { return true }

func (h heard) OnStart(_ context.Context, e connectors.Event) error {
	*h.types = append(*h.types, e.Type)
	return nil
}

func (h heard) OnComplete(ctx context.Context, e connectors.Event) error { return h.OnStart(ctx, e) }

// Options.Connectors come after the program's own; a name that is taken stops the start.
func TestConnectorsAreRegistered(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for name, c := range map[string]struct {
		own  []connectors.RuntimeConnector
		fail bool
	}{
		"none":       {nil, false},
		"one":        {[]connectors.RuntimeConnector{heard{}}, false},
		"one twice":  {[]connectors.RuntimeConnector{heard{}, heard{}}, true},
		"named ours": {[]connectors.RuntimeConnector{impostor{}}, true},
	} {
		a := &App{DB: db.DB, Metrics: telemetry.New(telemetry.Options{}), options: Options{Connectors: c.own}, log: slog.New(slog.DiscardHandler)}
		hooks := connectors.NewRegistry(nil, meter{metrics: a.Metrics}, a.log)
		if err := a.register(hooks, nil, meter{metrics: a.Metrics}); (err != nil) != c.fail {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type impostor struct{ heard }

func (impostor) Name() string { return "audit" }

// A run that ended elsewhere leaves the gauge; one that is active stays.
func TestTheGaugeOfActiveRunsIsCorrected(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	_, tenant := db.Tenant(t, "acme")
	conn := db.Conn(t)
	agent := uuid.Must(uuid.NewV7())
	mustExec(t, conn, `insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) values ($1, $2, 'a', 'A', 1, now(), now())`, agent, tenant)
	ids := map[string]uuid.UUID{}
	for _, status := range []string{"queued", "running", "waiting", "completed", "failed", "cancelled", "timed_out"} {
		ids[status] = uuid.Must(uuid.NewV7())
		mustExec(t, conn, `
			insert into agent_runs (id, tenant_id, agent_id, agent_version, status, input, max_steps, timeout_seconds, approval_seconds, created_by, created_at, started_at, finished_at)
			values ($1, $2, $3, 1, $4, '[]', 10, 60, 60, 'test', now(), now(), case when $4 in ('queued', 'running', 'waiting') then null else now() end)`,
			ids[status], tenant, agent, status)
	}
	log := slog.New(slog.DiscardHandler)
	metrics := telemetry.New(telemetry.Options{})
	eventLog := runs.NewLog(db.DB, meter{metrics: metrics}, metrics.Events.Appended, log)
	a := &App{Metrics: metrics, log: log, Runs: runs.NewService(runs.Deps{DB: db.DB, Log: eventLog, Logger: log})}
	if err := a.correctActive(t.Context()); err != nil {
		t.Errorf("nothing to correct: %v", err)
	}
	a.Metrics.Runs.Activate(telemetry.ActiveRun{Tenant: "t", ID: uuid.NewString()}) // not in the database at all
	for _, id := range ids {
		a.Metrics.Runs.Activate(telemetry.ActiveRun{Tenant: "t", ID: id.String()})
	}
	if err := a.correctActive(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, r := range a.Metrics.Runs.Active() {
		left = append(left, r.ID)
	}
	want := []string{ids["queued"].String(), ids["running"].String(), ids["waiting"].String()}
	slices.Sort(want)
	if !slices.Equal(left, want) {
		t.Errorf("the gauge shows %v, want %v", left, want)
	}
}

// Only lifecycle events go to connectors, in their order.
func TestAnnouncerLeavesOutWhatHasNoHook(t *testing.T) {
	t.Parallel()
	var told []event.Type
	metrics := telemetry.New(telemetry.Options{})
	registry := connectors.NewRegistry(deaf{}, meter{metrics: metrics}, slog.New(slog.DiscardHandler))
	if err := registry.RegisterConnector(heard{types: &told}); err != nil {
		t.Fatal(err)
	}
	port := announcer{registry}
	log := []event.Event{{Seq: 1, Type: event.RunStarted}, {Seq: 2, Type: event.MessageDelta}, {Seq: 3, Type: event.RunCompleted}}
	if err := port.Announce(t.Context(), runs.Run{}, log); err != nil {
		t.Fatal(err)
	}
	if want := []event.Type{event.RunStarted, event.RunCompleted}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// deaf takes no delivery over.
type deaf struct{}

func (deaf) Deliver(context.Context, connectors.Delivery) error { return errors.New("deaf") }
