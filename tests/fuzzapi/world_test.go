package fuzzapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/tests/contract"
	"github.com/larirun/lari/tests/harness"
)

// world is the whole program with two tenants.
type world struct {
	system   *harness.System
	process  *harness.Process
	doc      *contract.Document
	client   *http.Client
	receiver string
	owners   owners

	mu   sync.RWMutex
	both []*tenant
}

// tenant is one of the two. The marker is in whatever it writes and nowhere else.
type tenant struct {
	*harness.Tenant
	marker string
	tokens map[auth.Role]string
	pool   *pool
	asks   string // a run of tend's
}

func newWorld(t *testing.T, workers int) *world {
	t.Helper()
	s := harness.NewSystem(t, harness.AsksHuman())
	p := s.Start(t, harness.All)
	doc, err := harness.Describe(t.Context(), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	w := &world{system: s, process: p, doc: doc, client: harness.Client(t, workers), receiver: receiver.URL, owners: owners{of: map[string]int{}}}
	w.client.Timeout = 0 // each request has its own
	w.both = []*tenant{w.newTenant(t, 0), w.newTenant(t, 1)}
	return w
}

// stopAll asks every run that is left to stop, also those of tenants that were replaced: a request that waits for
// one which is held would go on waiting for minutes. The dispatcher takes it from there.
func (w *world) stopAll(t *testing.T) {
	t.Helper()
	_, err := w.system.Database.Conn(t).Exec(t.Context(), `update agent_runs set cancel_requested_by = 'test', cancel_reason = 'over',
		cancel_requested_at = now() - interval '1 minute' where status in ('queued', 'running', 'waiting')`)
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) tenants() []*tenant {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return []*tenant{w.both[0], w.both[1]}
}

func (w *world) newTenant(t *testing.T, n int) *tenant {
	t.Helper()
	x := w.process.NewTenant(t, agents.Config{Tools: []agents.ToolRef{{Name: "calculator", NeedsApproval: true}}})
	x.HTTP = w.client
	m := &tenant{Tenant: x, marker: "only-" + x.Slug, tokens: map[auth.Role]string{nobody: userToken(t, uuid.Nil, nobody)}}
	for _, role := range auth.Roles() {
		m.tokens[role] = userToken(t, x.ID, role)
	}
	// Somebody may have paused the platform: what is held would be waited for in vain.
	platform := *x
	platform.Token = m.tokens[auth.RoleService]
	platform.Do(t, "POST", "/v1/control/platform/resume", nil, auth.TenantHeader, x.ID.String())
	x.Do(t, "POST", "/v1/threads", map[string]any{"title": m.marker, "metadata": map[string]any{"a": m.marker}}).Want(t, 201)
	m.pool = newPool(x.Furnish(t, w.doc))
	w.owners.mu.Lock()
	defer w.owners.mu.Unlock()
	w.owners.of[x.ID.String()] = n
	return m
}

func userToken(t *testing.T, tenant uuid.UUID, role auth.Role) string {
	t.Helper()
	claims := map[string]any{
		"sub": "tester", "aud": "authenticated", "role": "authenticated", "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Hour).Unix(),
	}
	switch {
	case role == auth.RoleService:
		claims["role"] = "service_role"
	case role != nobody:
		claims["app_metadata"] = map[string]any{"tenant_id": tenant.String(), "role": string(role)}
	}
	return authtest.SignHS256(t, []byte(harness.Secret), nil, jwt.MapClaims(claims))
}

// tend sees that both tenants can work: what was paused or suspended is resumed, and a tenant that was deleted
// or limited to nothing is replaced by a new one. It gives how many were.
func (w *world) tend(t *testing.T) (replaced int) {
	t.Helper()
	for n, m := range w.tenants() {
		if w.works(t, m) {
			continue
		}
		for _, o := range w.doc.Operations {
			if strings.HasSuffix(o.Path, "/resume") {
				path := o.Fill(map[string]string{"tenant_id": m.ID.String()})
				if strings.Contains(path, "{") {
					continue
				}
				platform := *m.Tenant
				platform.Token = m.tokens[auth.RoleService]
				platform.Do(t, o.Method, path, nil, auth.TenantHeader, m.ID.String())
			}
		}
		if w.works(t, m) {
			continue
		}
		fresh := w.newTenant(t, n)
		w.mu.Lock()
		w.both[n] = fresh
		w.mu.Unlock()
		replaced++
	}
	return replaced
}

// works starts a run that will ask a human, and remembers what the one before asked.
func (w *world) works(t *testing.T, m *tenant) bool {
	t.Helper()
	if m.asks != "" {
		var log struct {
			Items []struct {
				Type string
				Data struct {
					ApprovalID string `json:"approval_id"`
				}
			}
		}
		a := m.Do(t, "GET", "/v1/runs/"+m.asks+"/events", nil)
		if a.Status != http.StatusOK { // a quota that was set leaves nothing
			return false
		}
		a.Want(t, http.StatusOK, &log)
		for _, e := range log.Items {
			if e.Type == "approval_requested" {
				m.pool.add("approval_id", map[string]string{"run_id": m.asks, "approval_id": e.Data.ApprovalID})
			}
		}
	}
	var started struct{ ID string }
	a := m.Do(t, "POST", "/v1/runs", map[string]any{"agent": m.agent(t), "input": m.marker + ": the sum, please"})
	if a.Status != http.StatusAccepted {
		return false
	}
	a.Want(t, http.StatusAccepted, &started)
	m.asks = started.ID
	m.pool.add("run_id", map[string]string{"run_id": m.asks})
	return true
}

// agent gives one that can be run: the requests delete agents too.
func (m *tenant) agent(t *testing.T) string {
	t.Helper()
	if m.Do(t, "GET", "/v1/agents/assistant", nil).Status == http.StatusNotFound {
		m.Do(t, "POST", "/v1/agents", map[string]any{
			"slug": "assistant", "name": "Assistant", "config": map[string]any{"tools": []any{map[string]any{"name": "calculator", "needs_approval": true}}},
		})
	}
	return "assistant"
}
