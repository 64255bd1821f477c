package security

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/tests/harness"
)

// claims are those of a good token of the tenant's owner, changed.
func claims(tenant uuid.UUID, change func(jwt.MapClaims)) jwt.MapClaims {
	c := jwt.MapClaims{
		"sub": "tester", "aud": "authenticated", "role": "authenticated", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"app_metadata": map[string]any{"tenant_id": tenant.String(), "role": "owner"},
	}
	change(c)
	return c
}

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestTokensThatDoNotHold(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	other := p.NewTenant(t, agents.Config{})
	secret := []byte(harness.Secret)
	hs256 := func(change func(jwt.MapClaims)) string {
		return authtest.SignHS256(t, secret, nil, claims(x.ID, change))
	}
	with := func(method jwt.SigningMethod, key any) string {
		token, err := jwt.NewWithClaims(method, claims(x.ID, func(jwt.MapClaims) {})).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := hs256(func(jwt.MapClaims) {})
	parts := strings.Split(good, ".")
	foreign := strings.Split(authtest.SignHS256(t, secret, nil, claims(other.ID, func(jwt.MapClaims) {})), ".")
	issuer := authtest.New(t, "ES256")
	send(t, x, "GET", "/v1/runs", "", map[string][]string{"Authorization": {"Bearer " + good}}).Want(t, 200)
	for name, header := range map[string][]string{
		"none":                    nil,
		"empty":                   {""},
		"no scheme":               {good},
		"another scheme":          {"Basic " + good},
		"a word":                  {"Bearer owner"},
		"expired":                 {"Bearer " + hs256(func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() })},
		"without expiry":          {"Bearer " + hs256(func(c jwt.MapClaims) { delete(c, "exp") })},
		"not yet":                 {"Bearer " + hs256(func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Hour).Unix() })},
		"issued in the future":    {"Bearer " + hs256(func(c jwt.MapClaims) { c["iat"] = time.Now().Add(time.Hour).Unix() })},
		"another audience":        {"Bearer " + hs256(func(c jwt.MapClaims) { c["aud"] = "anybody" })},
		"without audience":        {"Bearer " + hs256(func(c jwt.MapClaims) { delete(c, "aud") })},
		"anon":                    {"Bearer " + hs256(func(c jwt.MapClaims) { c["role"] = "anon" })},
		"a made-up database role": {"Bearer " + hs256(func(c jwt.MapClaims) { c["role"] = "postgres" })},
		"a made-up tenant role": {"Bearer " + hs256(func(c jwt.MapClaims) {
			c["app_metadata"] = map[string]any{"tenant_id": x.ID.String(), "role": "root"}
		})},
		"service as tenant role": {"Bearer " + hs256(func(c jwt.MapClaims) {
			c["app_metadata"] = map[string]any{"tenant_id": x.ID.String(), "role": "service_role"}
		})},
		"without subject":      {"Bearer " + hs256(func(c jwt.MapClaims) { delete(c, "sub") })},
		"another secret":       {"Bearer " + authtest.SignHS256(t, []byte(strings.Repeat("x", 40)), nil, claims(x.ID, func(jwt.MapClaims) {}))},
		"HS384":                {"Bearer " + with(jwt.SigningMethodHS384, secret)},
		"HS512":                {"Bearer " + with(jwt.SigningMethodHS512, secret)},
		"none algorithm":       {"Bearer " + with(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)},
		"nOnE":                 {"Bearer " + encoded(`{"alg":"nOnE","typ":"JWT"}`) + "." + parts[1] + "."},
		"unsigned":             {"Bearer " + parts[0] + "." + parts[1] + "."},
		"without a signature":  {"Bearer " + parts[0] + "." + parts[1]},
		"another's payload":    {"Bearer " + parts[0] + "." + foreign[1] + "." + parts[2]},
		"asymmetric, unknown":  {"Bearer " + issuer.Sign(claims(x.ID, func(jwt.MapClaims) {}))},
		"header with a key":    {"Bearer " + authtest.SignHS256(t, []byte(strings.Repeat("x", 40)), map[string]any{"jwk": map[string]any{"kty": "oct", "k": encoded(strings.Repeat("x", 40))}}, claims(x.ID, func(jwt.MapClaims) {}))},
		"kid with a path":      {"Bearer " + authtest.SignHS256(t, nil, map[string]any{"kid": "../../../../dev/null"}, claims(x.ID, func(jwt.MapClaims) {}))},
		"crit":                 {"Bearer " + authtest.SignHS256(t, secret, map[string]any{"crit": []string{"b64"}, "b64": false}, claims(x.ID, func(jwt.MapClaims) {}))},
		"twice":                {"Bearer " + good, "Bearer " + good},
		"good and bad":         {"Bearer " + good + ", Bearer bad"},
		"10 KiB":               {"Bearer " + strings.Repeat("a", 10<<10)},
		"trailing garbage":     {"Bearer " + good + "x"},
		"signature in base64":  {"Bearer " + good + "="},
		"a key's form":         {"Bearer lari_" + strings.Repeat("a", 12) + "_" + strings.Repeat("b", 46)},
		"exponent of the time": {"Bearer " + hs256(func(c jwt.MapClaims) { c["exp"] = "tomorrow" })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct{ method, path, body string }{{"GET", "/v1/runs", ""}, {"POST", "/v1/runs", `{"input": "hello"}`}, {"POST", "/v1/runs/stream", `{"input": "hello"}`}} {
				a := send(t, x, c.method, c.path, c.body, map[string][]string{"Authorization": header})
				wantWellFormed(t, c.path, a)
				a.WantProblem(t, 401, "unauthenticated")
				if a.Header.Get("WWW-Authenticate") == "" {
					t.Error("no WWW-Authenticate (RFC 9110 §11.6.1)")
				}
				if a.Header.Get("x-tenant-id") != "" {
					t.Error("the tenant is told to nobody")
				}
			}
		})
	}
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	other := p.NewTenant(t, agents.Config{})
	make := func(k tenants.NewKey) (tenants.Key, string) {
		k.Name = "test"
		made, plain, err := p.App.Tenants.CreateKey(x.Context(t.Context()), k)
		if err != nil {
			t.Fatal(err)
		}
		return made, plain
	}
	soon := time.Now().Add(time.Second)
	_, operator := make(tenants.NewKey{Role: auth.RoleOperator})
	_, scoped := make(tenants.NewKey{Role: auth.RoleOwner, Scopes: []auth.Permission{auth.RunRead}})
	_, expiring := make(tenants.NewKey{Role: auth.RoleOwner, ExpiresAt: &soon})
	revoked, revokedPlain := make(tenants.NewKey{Role: auth.RoleOwner})
	if err := p.App.Tenants.RevokeKey(x.Context(t.Context()), revoked.ID); err != nil {
		t.Fatal(err)
	}
	nobody := p.Nobody(t)
	ask := func(method, path, body, name, value string, more ...string) harness.Answer {
		header := map[string][]string{name: {value}}
		for i := 0; i+1 < len(more); i += 2 {
			header[more[i]] = []string{more[i+1]}
		}
		a := send(t, nobody, method, path, body, header)
		wantWellFormed(t, method+" "+path, a)
		return a
	}
	for _, h := range [][2]string{{"X-Api-Key", operator}, {"Authorization", "Bearer " + operator}} {
		a := ask("POST", "/v1/runs", `{"input": "hello"}`, h[0], h[1])
		a.Want(t, 202)
		if a.Header.Get("x-tenant-id") != x.ID.String() {
			t.Errorf("the key acts for %q", a.Header.Get("x-tenant-id"))
		}
		ask("POST", "/v1/agents", `{"slug": "mine", "name": "Mine"}`, h[0], h[1]).WantProblem(t, 403, "forbidden")
		ask("GET", "/v1/runs", "", h[0], h[1], "x-tenant-id", other.ID.String()).WantProblem(t, 403, "forbidden")
	}
	ask("GET", "/v1/runs", "", "X-Api-Key", scoped).Want(t, 200)
	for _, c := range []struct{ method, path, body string }{{"POST", "/v1/runs", `{"input": "hello"}`}, {"GET", "/v1/agents", ""}, {"POST", "/v1/threads", `{}`}} {
		ask(c.method, c.path, c.body, "X-Api-Key", scoped).WantProblem(t, 403, "forbidden")
	}
	ask("GET", "/v1/runs", "", "X-Api-Key", revokedPlain).WantProblem(t, 401, "unauthenticated")
	if a := ask("GET", "/v1/runs", "", "X-Api-Key", expiring); a.Status != 200 && a.Status != 401 {
		t.Errorf("before its end: %d", a.Status)
	}
	harness.Eventually(t, 10*time.Second, "the key expires", func() bool {
		return ask("GET", "/v1/runs", "", "X-Api-Key", expiring).Status == 401
	})
	last := operator[len(operator)-1:]
	flipped := operator[:len(operator)-1] + map[bool]string{true: "B", false: "A"}[last == "A"]
	for name, key := range map[string]string{
		"mistyped": flipped, "cut": operator[:len(operator)-1], "longer": operator + "a", "only the prefix": "lari_",
		"another secret": keyWithSecretOf(t, operator), "SQL": "lari_' or '1'='1", "a token": x.Token, "empty": "",
	} {
		a := ask("GET", "/v1/runs", "", "X-Api-Key", key)
		if name != "a token" {
			a.WantProblem(t, 401, "unauthenticated")
		} else if a.Status == 200 {
			t.Errorf("a token is taken for a key")
		}
	}
	// Two credentials at once say two things.
	if a := ask("GET", "/v1/runs", "", "X-Api-Key", operator, "Authorization", "Bearer "+other.Token); a.Status == 200 {
		t.Errorf("two credentials: %d for the tenant %s", a.Status, a.Header.Get("x-tenant-id"))
	}
	conn := s.Database.Conn(t)
	var kept int
	if err := conn.QueryRow(t.Context(), `select count(*) from api_keys k where k::text like '%' || $1 || '%'`, operator[len("lari_")+13:len(operator)-6]).Scan(&kept); err != nil || kept != 0 {
		t.Errorf("the secret of a key is stored (%d, %v)", kept, err)
	}
}

// keyWithSecretOf gives a well-formed key with the name of one that exists and a secret of another.
func keyWithSecretOf(t *testing.T, key string) string {
	t.Helper()
	for range 1 << 12 {
		fresh, _, _, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := auth.ParseKey(key[:18] + fresh[18:]); err == nil {
			return key[:18] + fresh[18:]
		}
	}
	// The checksum covers name and secret: by chance alone no pair fits, which is its purpose.
	return key[:18] + strings.Repeat("0", len(key)-18)
}

// granted is DESIGN.md §5, "Roles", once more.
func granted(role auth.Role, permission string) bool {
	_, verb, _ := strings.Cut(permission, ":")
	switch role {
	case auth.RoleViewer:
		return verb == "read"
	case auth.RoleOperator:
		return verb == "read" || permission == "run:create" || permission == "run:update"
	case auth.RoleAdmin:
		return permission != "tenant:manage" && permission != "platform:manage"
	case auth.RoleOwner:
		return permission != "platform:manage"
	case auth.RoleService:
		return true
	}
	return false
}

// TestRoles calls every route as every role. Ids and bodies are of nothing: who may come in is told 404,
// 400 or 422, or an empty list.
func TestRoles(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	values := map[string]string{"version": "1"}
	for _, name := range []string{"report_id", "schedule_id", "run_id", "approval_id", "thread_id", "agent_id", "webhook_id", "delivery_id", "workspace_id", "key_id", "user_id"} {
		values[name] = uuid.NewString()
	}
	values["tenant_id"] = x.ID.String()
	all := operations(t, x)
	refused := map[auth.Role]int{}
	for _, role := range auth.Roles() {
		caller := *x
		caller.Token = harness.Token(t, x.ID, role)
		for _, o := range all {
			body := ""
			if o.method != "GET" && o.method != "DELETE" {
				body = `{"no such field": 1}` // goes no further than this
			}
			a := send(t, &caller, o.method, o.fill(t, values), body, map[string][]string{"x-tenant-id": {x.ID.String()}})
			wantWellFormed(t, o.name(), a)
			switch may := !slices.ContainsFunc(o.scopes, func(s string) bool { return !granted(role, s) }); {
			case may && (a.Status == 401 || a.Status == 403):
				t.Errorf("%s as %s: %d %s", o.name(), role, a.Status, a.Body)
			case !may:
				refused[role]++
				if a.Status != 403 {
					t.Errorf("%s as %s: %d %s", o.name(), role, a.Status, a.Body)
				}
			}
			if o.scopes != nil {
				send(t, p.Nobody(t), o.method, o.fill(t, values), body, nil).WantProblem(t, 401, "unauthenticated")
			}
		}
	}
	if refused[auth.RoleViewer] < 5 || refused[auth.RoleOperator] < 2 || refused[auth.RoleOperator] >= refused[auth.RoleViewer] || refused[auth.RoleService] != 0 {
		t.Errorf("refused: %v", refused)
	}
}
