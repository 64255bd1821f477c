package cli

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

type bootstrapped struct {
	TenantID      string `json:"tenant_id"`
	TenantCreated bool   `json:"tenant_created"`
	AgentCreated  bool   `json:"agent_created"`
	OwnerCreated  bool   `json:"owner_created"`
	KeyID         string `json:"key_id"`
	Key           string `json:"key"`
}

func bootstrap(t *testing.T, url string, args ...string) bootstrapped {
	t.Helper()
	r := lari(t, []string{"DATABASE_URL=" + url}, append([]string{"bootstrap", "--json"}, args...)...)
	if r.code != 0 {
		t.Errorf("lari bootstrap %v: %s", args, r.err)
		return bootstrapped{}
	}
	var b bootstrapped
	if err := json.Unmarshal([]byte(r.out), &b); err != nil {
		t.Errorf("%v: %s", err, r.out)
	}
	return b
}

const ada = "11111111-1111-4111-8111-111111111111"

func TestBootstrap_GivesAKeyThatRunsTheAssistant(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Text: "Good day."}})
	first := bootstrap(t, s.Database.URL, "--owner", ada, "--email", "ada@example.com")
	if !first.TenantCreated || !first.AgentCreated || !first.OwnerCreated || first.Key == "" {
		t.Fatalf("the first bootstrap: %+v", first)
	}
	again := bootstrap(t, s.Database.URL, "--owner", ada)
	if again != (bootstrapped{TenantID: first.TenantID, KeyID: first.KeyID}) {
		t.Errorf("the second bootstrap: %+v", again)
	}
	p := s.Start(t, app.Options{API: true, Worker: true})
	r := lari(t, []string{"LARI_API_URL=" + p.URL, "LARI_TOKEN=" + first.Key}, "run", "hello").mustExit(t, 0)
	if r.out != "Good day.\n" {
		t.Errorf("a run with the key says %q", r.out)
	}
	if further := bootstrap(t, s.Database.URL, "--new-key"); further.Key == "" || further.KeyID == first.KeyID {
		t.Errorf("--new-key: %+v", further)
	}
}

func TestBootstrap_ConcurrentCallsMakeOne(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	var mu sync.Mutex
	var created, keys int
	ids := map[string]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			b := bootstrap(t, d.URL, "--owner", ada)
			mu.Lock()
			defer mu.Unlock()
			ids[b.TenantID+" "+b.KeyID] = true
			if b.TenantCreated {
				created++
			}
			if b.Key != "" {
				keys++
			}
		})
	}
	all.Wait()
	if len(ids) != 1 || created != 1 || keys != 1 {
		t.Errorf("%d tenants and keys (%v), created %d times, %d secrets", len(ids), ids, created, keys)
	}
}

func TestBootstrap_RefusesWhatItCannotMake(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	for _, c := range []struct {
		url, says string
		args      []string
	}{
		{d.URL, "slug must be of a-z", []string{"--tenant", "Bad Slug"}},
		{d.URL, "user_id must be", []string{"--owner", "two words"}},
		{d.URL, "email must be an address", []string{"--owner", ada, "--email", "nowhere"}},
		{"", "DATABASE_URL must be set", nil},
	} {
		r := lari(t, []string{"DATABASE_URL=" + c.url}, append([]string{"bootstrap"}, c.args...)...).mustExit(t, 1)
		if !strings.Contains(r.err, c.says) || r.out != "" {
			t.Errorf("bootstrap %v: stdout %q, stderr %q, want %q", c.args, r.out, r.err, c.says)
		}
	}
}

func TestToken_OfThePlatformNeedsNoTenant(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	secret := "SUPABASE_JWT_SECRET=" + harness.Secret
	service := lari(t, []string{secret}, "token", "--role", "service_role").mustExit(t, 0)
	x := p.Nobody(t)
	x.Token = strings.TrimSpace(service.out)
	var made struct{ ID, Slug string }
	x.Do(t, "POST", "/v1/tenants", map[string]string{"slug": "by-token"}).Want(t, 201, &made)
	owner := lari(t, []string{secret, "DATABASE_URL=" + s.Database.URL}, "token", "--tenant", made.Slug).mustExit(t, 0)
	x.Token = strings.TrimSpace(owner.out)
	var agents struct{ Items []struct{ Slug string } }
	x.Do(t, "GET", "/v1/agents", nil).Want(t, 200, &agents)
	if len(agents.Items) != 1 || agents.Items[0].Slug != "assistant" {
		t.Errorf("a new tenant has the agents %+v", agents.Items)
	}
	if r := lari(t, []string{"LARI_JWKS_URL=https://issuer.example/jwks.json"}, "token").mustExit(t, 1); !strings.Contains(r.err, "lari bootstrap") {
		t.Errorf("without a secret that the API knows: %q", r.err)
	}
}
