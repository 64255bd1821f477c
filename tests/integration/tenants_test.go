package integration

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/tests/harness"
)

// platform is a client of the platform itself, which belongs to no tenant.
func platform(t *testing.T, p *harness.Process) *harness.Tenant {
	t.Helper()
	token, err := auth.Mint([]byte(harness.Secret), auth.MintConfig{Role: auth.RoleService, Subject: "operator", Audience: "authenticated", TTL: time.Hour})
	must(t, err)
	return &harness.Tenant{URL: p.URL, Token: token}
}

// with is the tenant's client with another role.
func with(t *testing.T, x *harness.Tenant, role auth.Role) *harness.Tenant {
	t.Helper()
	as := *x
	as.Token = harness.Token(t, x.ID, role)
	return &as
}

func TestThePlatformMakesATenant(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	operator := platform(t, p)
	var made tenants.Tenant
	first := operator.Do(t, "POST", "/v1/tenants", `{"slug": "acme", "name": "Acme Ltd"}`, "Idempotency-Key", "k", "X-Request-Id", "make")
	first.Want(t, 201, &made)
	if first.Header.Get("Location") != "/v1/tenants/"+made.ID.String() || made.Status != tenants.Active || first.Header.Get("x-tenant-id") != "" {
		t.Errorf("made %+v with %v", made, first.Header)
	}
	again := operator.Do(t, "POST", "/v1/tenants", `{"slug": "acme", "name": "Acme Ltd"}`, "Idempotency-Key", "k", "X-Request-Id", "again")
	again.Want(t, 201)
	if string(again.Body) != string(first.Body) || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("a repetition gives %s", again.Body)
	}
	operator.Do(t, "POST", "/v1/tenants", `{"slug": "other"}`, "Idempotency-Key", "k").WantProblem(t, 422, "idempotency_mismatch")
	operator.Do(t, "POST", "/v1/tenants", `{"slug": "acme"}`).WantProblem(t, 409, "conflict")
	operator.Do(t, "POST", "/v1/tenants", `{"slug": "Not a slug"}`).WantProblem(t, 422, "validation_failed")

	// Its first owner, and what that one sees.
	at := "/v1/tenants/" + made.ID.String()
	operator.Do(t, "PUT", at+"/members/ada", `{"role": "owner", "email": "ada@example.com"}`).Want(t, 201)
	x := &harness.Tenant{ID: made.ID, URL: p.URL, Token: harness.Token(t, made.ID, auth.RoleOwner)}
	var list struct{ Items []tenants.Tenant }
	x.Do(t, "GET", "/v1/tenants", nil).Want(t, 200, &list)
	if len(list.Items) != 1 || list.Items[0].ID != made.ID {
		t.Errorf("an owner sees %+v", list.Items)
	}
	operator.Do(t, "GET", "/v1/tenants?slug_prefix=ac&status=active", nil).Want(t, 200, &list)
	if len(list.Items) != 1 {
		t.Errorf("the platform sees %+v", list.Items)
	}
	x.Do(t, "PATCH", at, `{"name": "Acme"}`).Want(t, 200, &made)
	if made.Name != "Acme" {
		t.Errorf("renamed %+v", made)
	}
	// The making of the tenant is in the tenant's own trail.
	for request, want := range map[string]string{"make": "createTenant", "again": "createTenant"} {
		rows := trailOf(t, x, "request_id="+request)
		if len(rows) != 1 || rows[0].Action != want || rows[0].ResourceID != made.ID.String() || rows[0].Actor != "operator" {
			t.Errorf("%s: the trail has %+v", request, rows)
		}
	}
	wantSound(t, x)
}

// TestThePathNamesTheTenant: who acts in which tenant, by path, header and both.
func TestThePathNamesTheTenant(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	a, b := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	operator := platform(t, p)
	of := func(x *harness.Tenant) string { return "/v1/tenants/" + x.ID.String() }
	for name, c := range map[string]struct {
		caller *harness.Tenant
		path   string
		header string
		status int
	}{
		"one's own":                       {a, of(a), "", 200},
		"in capitals":                     {a, "/v1/tenants/" + strings.ToUpper(a.ID.String()), "", 200},
		"one's own, twice":                {a, of(a), a.ID.String(), 200},
		"another's":                       {a, of(b), "", 404},
		"another's, with one's own":       {a, of(b), a.ID.String(), 404},
		"another's, twice":                {a, of(b), b.ID.String(), 403},
		"one's own, with another's":       {a, of(a), b.ID.String(), 403},
		"nobody's":                        {a, "/v1/tenants/" + uuid.NewString(), "", 404},
		"a word":                          {a, "/v1/tenants/acme", "", 400},
		"the nil id":                      {a, "/v1/tenants/" + uuid.Nil.String(), "", 400},
		"dashless":                        {a, "/v1/tenants/" + strings.ReplaceAll(a.ID.String(), "-", ""), "", 400},
		"encoded":                         {a, "/v1/tenants/%" + "30" + a.ID.String()[1:], "", 200},
		"a bad header":                    {a, of(a), "acme", 400},
		"the platform":                    {operator, of(b), "", 200},
		"the platform, with the same":     {operator, of(b), b.ID.String(), 200},
		"the platform, with another":      {operator, of(b), a.ID.String(), 404},
		"the platform, nobody's":          {operator, "/v1/tenants/" + uuid.NewString(), "", 404},
		"the platform, a list of nothing": {operator, "/v1/tenants/" + uuid.NewString() + "/members", "", 200},
		"the platform, all":               {operator, "/v1/tenants", "", 200},
		"the platform, no tenant":         {operator, "/v1/agents", "", 400},
	} {
		var header []string
		if c.header != "" {
			header = []string{"x-tenant-id", c.header}
		}
		got := c.caller.Do(t, "GET", c.path, nil, header...)
		if got.Status != c.status {
			t.Errorf("%s: %d, want %d: %s", name, got.Status, c.status, got.Body)
		}
		if named := got.Header.Get("x-tenant-id"); got.Status == 200 && strings.Count(c.path, "/") > 2 && !strings.EqualFold(named, strings.Split(c.path, "/")[3]) && name != "encoded" {
			t.Errorf("%s: the answer is for %q", name, named)
		}
	}
	// A user of two tenants, without a default, need not choose one to see them.
	third := p.NewTenant(t, agents.Config{})
	two := *a
	two.Token = authtest.SignHS256(t, []byte(harness.Secret), nil, jwt.MapClaims{
		"sub": "two", "aud": "authenticated", "role": "authenticated", "exp": time.Now().Add(time.Hour).Unix(),
		"app_metadata": map[string]any{"tenants": map[string]string{a.ID.String(): "viewer", b.ID.String(): "owner"}},
	})
	var list struct{ Items []tenants.Tenant }
	two.Do(t, "GET", "/v1/tenants", nil).Want(t, 200, &list)
	if len(list.Items) != 2 || list.Items[0].ID != b.ID || list.Items[1].ID != a.ID {
		t.Errorf("a user of two tenants sees %+v", list.Items)
	}
	two.Do(t, "GET", "/v1/agents", nil).WantProblem(t, 400, "malformed_request")
	two.Do(t, "GET", of(b)+"/members", nil).Want(t, 200)
	two.Do(t, "PATCH", of(b), `{"name": "B"}`).Want(t, 200)
	two.Do(t, "PATCH", of(a), `{"name": "A"}`).WantProblem(t, 403, "forbidden")
	two.Do(t, "GET", of(third), nil).WantProblem(t, 404, "not_found")
	two.Do(t, "POST", "/v1/tenants", `{"slug": "mine"}`).WantProblem(t, 403, "forbidden")
	two.Do(t, "GET", "/v1/tenants", nil, "x-tenant-id", third.ID.String()).WantProblem(t, 403, "forbidden")
	// What only the platform may do, an owner does not, also not to itself.
	for _, o := range []struct{ method, path, body string }{
		{"POST", "/v1/tenants", `{"slug": "mine"}`},
		{"POST", of(a) + "/suspend", `{"reason": "x"}`},
		{"POST", of(a) + "/resume", ""},
		{"DELETE", of(a), ""},
		{"GET", of(a) + "/deletion", ""},
		{"POST", of(a) + "/deletion/cancel", ""},
	} {
		var body any
		if o.body != "" {
			body = o.body
		}
		a.Do(t, o.method, o.path, body).WantProblem(t, 403, "forbidden")
	}
	for _, role := range []auth.Role{auth.RoleViewer, auth.RoleOperator, auth.RoleAdmin} {
		x := with(t, a, role)
		x.Do(t, "GET", of(a)+"/members", nil).Want(t, 200)
		x.Do(t, "PATCH", of(a), `{"name": "x"}`).WantProblem(t, 403, "forbidden")
		x.Do(t, "PUT", of(a)+"/members/eve", `{"role": "viewer"}`).WantProblem(t, 403, "forbidden")
		x.Do(t, "POST", of(a)+"/api-keys", `{"name": "k", "role": "viewer"}`).WantProblem(t, 403, "forbidden")
	}
}

func TestSuspendedTenantsCanBeRead(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	operator, at := platform(t, p), "/v1/tenants/"+x.ID.String()
	_, key, err := p.App.Tenants.CreateKey(x.Context(t.Context()), tenants.NewKey{Name: "k", Role: auth.RoleViewer})
	must(t, err)
	operator.Do(t, "POST", at+"/suspend", `{}`).WantProblem(t, 422, "validation_failed")
	var got tenants.Tenant
	for range 2 {
		operator.Do(t, "POST", at+"/suspend", `{"reason": "The invoice is unpaid."}`).Want(t, 200, &got)
	}
	x.Do(t, "GET", at, nil).Want(t, 200, &got)
	if got.Status != tenants.Suspended || got.StatusReason != "The invoice is unpaid." {
		t.Errorf("the tenant sees %+v", got)
	}
	machine := &harness.Tenant{URL: p.URL, Token: key}
	machine.Do(t, "GET", "/v1/runs", nil).Want(t, 200)
	for range 2 {
		operator.Do(t, "POST", at+"/resume", nil).Want(t, 200, &got)
	}
	if got.Status != tenants.Active {
		t.Errorf("resumed %+v", got)
	}
	if r := x.StartRun(t, `{"input": "hello"}`); r.ID == uuid.Nil {
		t.Error("no run begins")
	}
}

func TestAPIKeysOverHTTP(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p, other := s.Start(t, app.Options{API: true}), s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	at := "/v1/tenants/" + x.ID.String() + "/api-keys"
	type made struct {
		ID     uuid.UUID `json:"id"`
		Secret string    `json:"secret"`
	}
	body := `{"name": "ci", "role": "owner", "scopes": ["tenant:manage", "tenant:read"]}`
	var answers [6]harness.Answer
	var all sync.WaitGroup
	for i := range answers { // at once, as an impatient client does
		all.Go(func() {
			var err error
			if answers[i], err = x.Try(t.Context(), "POST", at, body, "Idempotency-Key", "once"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	secrets := map[string]bool{}
	var key made
	for _, a := range answers {
		var m made
		a.Want(t, 201, &m)
		if m.Secret != "" {
			secrets[m.Secret] = true
			key = m
		}
	}
	for _, a := range answers {
		var m made
		a.Want(t, 201, &m)
		if m.ID != key.ID || a.Header.Get("Location") != at+"/"+key.ID.String() {
			t.Errorf("a repetition made %s beside %s", m.ID, key.ID)
		}
	}
	if len(secrets) != 1 {
		t.Fatalf("%d secrets were given", len(secrets))
	}
	var stored int
	must(t, s.Database.Conn(t).QueryRow(t.Context(), `select count(*) from idempotency_keys where encode(coalesce(body, ''), 'escape') like '%lari_%'`).Scan(&stored))
	if stored != 0 {
		t.Error("the secret is stored with the idempotency key")
	}
	machine := &harness.Tenant{ID: x.ID, URL: p.URL, Token: key.Secret}
	elsewhere := &harness.Tenant{ID: x.ID, URL: other.URL, Token: key.Secret}
	for _, m := range []*harness.Tenant{machine, elsewhere} {
		m.Do(t, "GET", at, nil).Want(t, 200)
		m.Do(t, "GET", "/v1/runs", nil).WantProblem(t, 403, "forbidden")
	}
	machine.Do(t, "POST", at, `{"name": "wider", "role": "owner"}`).WantProblem(t, 403, "forbidden")
	var child made
	machine.Do(t, "POST", at, `{"name": "narrower", "role": "viewer", "scopes": ["tenant:read"]}`).Want(t, 201, &child)
	x.Do(t, "PATCH", at+"/"+child.ID.String(), `{"name": "renamed", "expires_at": "2020-01-01T00:00:00Z"}`).WantProblem(t, 422, "validation_failed")
	x.Do(t, "PATCH", at+"/"+child.ID.String(), `{"name": "renamed", "never_expires": true}`).Want(t, 200)
	x.Do(t, "POST", at+"/"+key.ID.String()+"/revoke", nil).Want(t, 200)
	// The other process knew the key, and hears of it long before its half minute is over.
	for _, m := range []*harness.Tenant{machine, elsewhere} {
		harness.Eventually(t, 10*time.Second, "the key is refused", func() bool {
			return m.Do(t, "GET", at, nil).Status == 401
		})
	}
	var list struct{ Items []tenants.Key }
	x.Do(t, "GET", at, nil).Want(t, 200, &list)
	if len(list.Items) != 1 || list.Items[0].ID != child.ID {
		t.Errorf("live keys: %+v", list.Items)
	}
	x.Do(t, "GET", at+"?include_revoked=true", nil).Want(t, 200, &list)
	if len(list.Items) != 2 {
		t.Errorf("all keys: %+v", list.Items)
	}
}

func TestMembersOverHTTP(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x := p.NewTenant(t, agents.Config{})
	at := "/v1/tenants/" + x.ID.String() + "/members/"
	x.Do(t, "PUT", at+"ada", `{"role": "owner"}`).Want(t, 201)
	x.Do(t, "PUT", at+"ada", `{"role": "owner"}`).Want(t, 200)
	x.Do(t, "PUT", at+"ada", `{"role": "viewer"}`).WantProblem(t, 409, "conflict")
	x.Do(t, "DELETE", at+"ada", nil).WantProblem(t, 409, "conflict")
	strange := "auth0|x/y:é"
	x.Do(t, "PUT", at+url.PathEscape(strange), `{"role": "viewer", "email": "e@example.com"}`).Want(t, 201)
	var m tenants.Member
	x.Do(t, "GET", at+url.PathEscape(strange), nil).Want(t, 200, &m)
	if m.UserID != strange || m.Role != auth.RoleViewer {
		t.Errorf("found %+v", m)
	}
	for _, bad := range []string{`{"role": "service_role"}`, `{"role": "root"}`, `{}`, `{"role": "viewer", "email": "nobody"}`, `{"role": "viewer", "admin": true}`} {
		if a := x.Do(t, "PUT", at+"eve", bad); a.Status != 422 && a.Status != 400 {
			t.Errorf("%s: %d %s", bad, a.Status, a.Body)
		}
	}
	x.Do(t, "PUT", at+url.PathEscape("a b"), `{"role": "viewer"}`).WantProblem(t, 422, "validation_failed")
	x.Do(t, "DELETE", at+url.PathEscape(strange), nil).Want(t, 204)
	x.Do(t, "DELETE", at+url.PathEscape(strange), nil).WantProblem(t, 404, "not_found")
}
