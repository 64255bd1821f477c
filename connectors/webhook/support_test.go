package webhook_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/connectors/webhook"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/egress"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	newSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" //nolint:gosec // G101: of the test
	oldSecret = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=" //nolint:gosec // G101: of the test
)

// received is a request as a receiver saw it.
type received struct {
	header http.Header
	body   []byte
}

// receiver answers as it is told and keeps what it got.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Errorf("read the request: %v", err)
		}
		r.mu.Lock()
		r.got = append(r.got, received{req.Header.Clone(), body})
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// directory is a Directory in memory; told says what it heard.
type directory struct {
	mu        sync.Mutex
	endpoints map[uuid.UUID]webhook.Endpoint
	away      bool
	told      []string
}

func (d *directory) Endpoint(_ context.Context, id uuid.UUID) (webhook.Endpoint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.endpoints[id]
	switch {
	case d.away:
		return e, fault.New(fault.Unavailable, "away")
	case !ok:
		return e, fault.New(fault.NotFound, "none")
	}
	return e, nil
}

func (d *directory) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, what)
}

func (d *directory) Succeeded(context.Context, webhook.Endpoint) { d.note("succeeded") }
func (d *directory) Failed(context.Context, webhook.Endpoint)    { d.note("failed") }
func (d *directory) Gone(context.Context, webhook.Endpoint)      { d.note("gone") }

func (d *directory) add(e webhook.Endpoint) webhook.Endpoint {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.endpoints == nil {
		d.endpoints = map[uuid.UUID]webhook.Endpoint{}
	}
	e.ID = uuid.New()
	d.endpoints[e.ID] = e
	return e
}

// client is a guarded one that may reach loopback.
func client(t *testing.T) *egress.Client {
	t.Helper()
	c := egress.New(egress.Config{AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	t.Cleanup(c.Close)
	return c
}

func connector(t *testing.T, d *directory, limits webhook.Limits) *webhook.Endpoints {
	t.Helper()
	return webhook.NewEndpoints("endpoints", d, client(t), webhook.NewGates(limits))
}

func an(typ event.Type, target uuid.UUID) connectors.Event {
	return connectors.Event{
		TenantID: uuid.New(), AgentID: uuid.New(), RunID: uuid.New(), Seq: 7, Type: typ, At: clock.Now(), Target: target.String(),
		Data: json.RawMessage(`{"code":"model_error","message":"<no>","usage":{"input_tokens":9007199254740993}}`), Metadata: json.RawMessage(`{"a":1}`),
	}
}

// tell calls the connector as the registry does.
func tell(t *testing.T, c connectors.RuntimeConnector, e connectors.Event) (connectors.Report, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	ctx, report := connectors.WithReport(scope.With(ctx, scope.Scope{Tenant: e.TenantID}))
	err := connectors.Call(ctx, c, e)
	return *report, err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
