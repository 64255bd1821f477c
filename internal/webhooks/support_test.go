package webhooks_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/egress"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/webhooks"
)

// world is the service on a database of its own, with what it reaches beside it.
type world struct {
	*webhooks.Service
	database *pgtest.Database
	agent    uuid.UUID // the one agent that there is, "helper"

	mu     sync.Mutex
	broken bool // the trail takes nothing
	trail  []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{database: pgtest.New(t)}
	w.Service = webhooks.NewService(webhooks.Deps{
		DB: w.database.DB, Agents: w, Auditor: w, Logger: slog.New(slog.DiscardHandler),
		CheckURL: func(raw string) error {
			_, err := egress.ParseURL(raw, egress.Config{})
			return err
		},
	})
	return w
}

// tenant makes a tenant with the agent "helper".
func (w *world) tenant(t *testing.T, slug string) context.Context {
	t.Helper()
	ctx, id := w.database.Tenant(t, slug)
	w.agent = uuid.Must(uuid.NewV7())
	_, err := w.database.DB.Exec(ctx, `insert into agents (id, tenant_id, slug, name, description, version, created_at, updated_at)
		values ($1, $2, 'helper', 'Helper', '', 1, now(), now())`, w.agent, id)
	must(t, err)
	return ctx
}

func (w *world) ResolveAgent(_ context.Context, ref string) (uuid.UUID, error) {
	if ref != "helper" {
		return uuid.Nil, fault.New(fault.NotFound, "There is no agent %s.", ref)
	}
	return w.agent, nil
}

// EndpointDisabled writes into the database too, so that the tests see whether it joins the transaction.
func (w *world) EndpointDisabled(ctx context.Context, endpoint uuid.UUID, _ clock.Time, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return errors.New("the trail takes nothing")
	}
	postgres.AfterCommit(ctx, func() { w.trail = append(w.trail, endpoint.String()+" "+reason) })
	return nil
}

func (w *world) create(ctx context.Context, t *testing.T, n webhooks.NewEndpoint) (webhooks.Endpoint, string) {
	t.Helper()
	if n.URL == "" {
		n.URL = "https://example.com/hook"
	}
	if n.Events == nil {
		n.Events = []event.Type{event.RunCompleted}
	}
	e, secret, err := w.Create(ctx, n)
	must(t, err)
	return e, secret
}

// age moves the beginning of an endpoint's failing into the past.
func (w *world) age(t *testing.T, id uuid.UUID, by time.Duration) {
	t.Helper()
	_, err := w.database.Conn(t).Exec(t.Context(), `update webhook_endpoints set failing_since = failing_since - $2::interval where id = $1`, id, by)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v has the code %q, want %q", err, fault.CodeOf(err), code)
	}
}

func ptr[T any](v T) *T { return &v }
