package auth_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/internal/platform/fault"
)

func TestTokenLetsIn(t *testing.T) {
	t.Parallel()
	a, b := tenantA.String(), tenantB.String()
	type roles = map[uuid.UUID]auth.Role
	tests := []struct {
		name     string
		metadata map[string]any
		tenants  roles
		standard uuid.UUID
	}{
		{"one tenant", map[string]any{"tenant_id": a, "role": "owner"}, roles{tenantA: auth.RoleOwner}, tenantA},
		{"one tenant in the map", map[string]any{"tenants": map[string]any{b: "viewer"}}, roles{tenantB: auth.RoleViewer}, tenantB},
		{"several, one the default", map[string]any{"tenant_id": a, "role": "admin", "tenants": map[string]any{b: "viewer"}}, roles{tenantA: auth.RoleAdmin, tenantB: auth.RoleViewer}, tenantA},
		{"several, default listed too", map[string]any{"tenant_id": a, "role": "admin", "tenants": map[string]any{a: "admin", b: "viewer"}}, roles{tenantA: auth.RoleAdmin, tenantB: auth.RoleViewer}, tenantA},
		{"several, default's role in the map", map[string]any{"tenant_id": a, "tenants": map[string]any{a: "admin", b: "viewer"}}, roles{tenantA: auth.RoleAdmin, tenantB: auth.RoleViewer}, tenantA},
		{"several, no default", map[string]any{"tenants": map[string]any{a: "admin", b: "viewer"}}, roles{tenantA: auth.RoleAdmin, tenantB: auth.RoleViewer}, uuid.Nil},
		{"none", nil, roles{}, uuid.Nil},
		{"none, but a role", map[string]any{"role": "owner"}, roles{}, uuid.Nil},
	}
	v := newVerifier(t, auth.Config{HS256Secret: secret})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := authtest.UserClaims("", subject, tt.metadata)
			c["user_metadata"] = map[string]any{"tenant_id": b, "role": "owner", "tenants": map[string]any{a: "owner", b: "owner"}}
			p, err := v.Verify(t.Context(), authtest.SignHS256(t, secret, nil, c))
			if err != nil {
				t.Fatal(err)
			}
			if p.Subject != subject || p.Kind != auth.KindUser || p.Service || p.Scopes != nil {
				t.Errorf("principal %+v", p)
			}
			if exp, _ := c["exp"].(int64); p.ExpiresAt.Unix() != exp {
				t.Errorf("expires at %v, want %v", p.ExpiresAt.Unix(), exp)
			}
			if !maps.Equal(p.Tenants, tt.tenants) || p.DefaultTenant != tt.standard {
				t.Errorf("tenants %v, default %v; want %v, %v", p.Tenants, p.DefaultTenant, tt.tenants, tt.standard)
			}
		})
	}
}

func TestServiceTokenLetsIn(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, auth.Config{HS256Secret: secret})
	c := authtest.ServiceClaims("")
	p, err := v.Verify(t.Context(), authtest.SignHS256(t, secret, nil, c))
	if err != nil {
		t.Fatal(err)
	}
	if !p.Service || p.Kind != auth.KindService || p.Subject != "service_role" || len(p.Tenants) != 0 || p.DefaultTenant != uuid.Nil {
		t.Errorf("principal %+v", p)
	}
	c["sub"], c["app_metadata"] = "nightly", map[string]any{"tenant_id": tenantB.String()}
	if p, err = v.Verify(t.Context(), authtest.SignHS256(t, secret, nil, c)); err != nil || p.Subject != "nightly" || p.DefaultTenant != tenantB {
		t.Errorf("principal %+v, error %v", p, err)
	}
}

func TestAudienceAndLeewayOfTheConfig(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, auth.Config{HS256Secret: secret, Audience: "lari", Leeway: 5 * time.Minute})
	late := time.Now().Add(-4 * time.Minute).Unix()
	if _, err := v.Verify(t.Context(), authtest.SignHS256(t, secret, nil, user("", map[string]any{"aud": []string{"x", "lari"}, "exp": late}))); err != nil {
		t.Error(err)
	}
	_, err := v.Verify(t.Context(), authtest.SignHS256(t, secret, nil, user("", nil)))
	wantFault(t, err, fault.Unauthenticated, "the token's audience is not lari")
}

func TestTokenCacheEndsWithTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(t, auth.Config{HS256Secret: secret, Leeway: time.Second})
		token := authtest.SignHS256(t, secret, nil, user("", map[string]any{"exp": time.Now().Add(20 * time.Second).Unix()}))
		first, err := v.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(19 * time.Second) // virtual time
		if again, err := v.Verify(t.Context(), token); err != nil || again != first {
			t.Errorf("19 s: %p, %v; want the cached %p", again, err, first)
		}
		time.Sleep(3 * time.Second)
		_, err = v.Verify(t.Context(), token)
		wantFault(t, err, fault.Unauthenticated, "the token has expired")
	})
}

func TestTokenIsVerifiedAnewEveryMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(t, auth.Config{HS256Secret: secret})
		token := authtest.SignHS256(t, secret, nil, user("", nil))
		first, err := v.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second) // virtual time
		if again, err := v.Verify(t.Context(), token); err != nil || again != first {
			t.Errorf("59 s: %p, %v; want the cached %p", again, err, first)
		}
		time.Sleep(2 * time.Second)
		if again, err := v.Verify(t.Context(), token); err != nil || again == first {
			t.Errorf("61 s: %p, %v; want a new principal", again, err)
		}
	})
}

func TestNewVerifierRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]auth.Config{
		"nothing":           {},
		"short secret":      {HS256Secret: secret[:31]},
		"no URL":            {JWKSURL: "keys.json"},
		"file URL":          {JWKSURL: "file:///etc/passwd"},
		"no host":           {JWKSURL: "https:///jwks.json"},
		"negative leeway":   {HS256Secret: secret, Leeway: -time.Second},
		"negative interval": {HS256Secret: secret, RefreshInterval: -time.Second},
		"negative floor":    {HS256Secret: secret, RefreshFloor: -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := auth.NewVerifier(c)
			if v != nil {
				t.Error("a verifier all the same")
			}
			wantFault(t, err, fault.Invalid, "")
		})
	}
}

// The boundary: whatever text arrives, no panic, and a *fault.Error or a caller.
func FuzzVerify(f *testing.F) {
	v := newVerifier(f, auth.Config{HS256Secret: secret})
	f.Add(authtest.SignHS256(f, secret, nil, user("", nil)))
	f.Add(authtest.SignHS256(f, secret, map[string]any{"kid": "../x", "crit": []string{"b64"}}, user("", nil)))
	for _, token := range []string{"", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "eyJhbGciOiJIUzI1NiJ9.bnVsbA."} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) { checkVerify(t, v, token) })
}

// Past the signature: whatever claims the issuer signs, no panic, and a *fault.Error or a sound caller.
func FuzzSignedClaims(f *testing.F) {
	v := newVerifier(f, auth.Config{HS256Secret: secret})
	for _, payload := range []string{
		`{"sub":"u","role":"authenticated","aud":"authenticated","exp":9999999999,"app_metadata":{"tenant_id":"0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f","role":"viewer","tenants":{"0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e90":"owner"}}}`,
		`{"role":"service_role","aud":["authenticated"],"exp":1e300}`,
		`{"sub":"u","role":"authenticated","aud":"authenticated","exp":9999999999.5,"iat":-1,"nbf":1e-300}`,
		`null`, `[]`, `{}`, `{"aud":{},"exp":null}`,
	} {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		head := segment(`{"alg":"HS256"}`) + "." + segment(payload)
		signature, err := jwt.SigningMethodHS256.Sign(head, secret)
		if err != nil {
			t.Fatal(err)
		}
		checkVerify(t, v, head+"."+(&jwt.Token{}).EncodeSegment(signature))
	})
}

// FuzzAlteredToken puts other text into a good token: none passes whose header or payload is another.
func FuzzAlteredToken(f *testing.F) {
	v := newVerifier(f, auth.Config{HS256Secret: secret})
	good := authtest.SignHS256(f, secret, nil, user("", nil))
	parts := strings.Split(good, ".")
	f.Add(0, "x", 1)
	f.Add(len(parts[0])+3, "", 1)
	f.Add(len(parts[0])+1, segment(`{"role":"service_role"}`), len(parts[1]))
	f.Add(len(good)-1, "A", 1)
	f.Add(len(good), "=", 0)
	f.Add(len(parts[0]), "..", 1)
	f.Add(0, segment(`{"alg":"none"}`), len(parts[0]))
	f.Fuzz(func(t *testing.T, at int, text string, drop int) {
		at = int(uint(at) % uint(len(good)+1))
		drop = int(uint(drop) % uint(len(good)-at+1))
		token := good[:at] + text + good[at+drop:]
		checkVerify(t, v, token)
		if p, err := v.Verify(t.Context(), token); err == nil {
			now := strings.Split(token, ".")
			if len(now) != 3 || now[0] != parts[0] || now[1] != parts[1] {
				t.Errorf("%q is taken for %+v", token, p)
			}
		}
		if _, err := v.Verify(t.Context(), good); err != nil {
			t.Errorf("the good one is refused after it: %v", err)
		}
	})
}

func checkVerify(t *testing.T, v *auth.Verifier, token string) {
	t.Helper()
	p, err := v.Verify(t.Context(), token)
	if err != nil {
		var fe *fault.Error
		if !errors.As(err, &fe) || fe.Code != fault.Unauthenticated || fe.Detail == "" {
			t.Fatalf("%v is not a refusal", err)
		}
		if p != nil {
			t.Fatalf("an error and a principal %+v", p)
		}
		return
	}
	if p.Subject == "" || p.ExpiresAt.IsZero() || p.Service != (p.Kind == auth.KindService) {
		t.Fatalf("an unsound principal %+v", p)
	}
	for tenant, role := range p.Tenants {
		if tenant == uuid.Nil || !role.OfTenant() {
			t.Fatalf("an unsound membership %v: %v", tenant, role)
		}
	}
	if _, member := p.Role(p.DefaultTenant); p.DefaultTenant != uuid.Nil && !member {
		t.Fatalf("not a member of the default tenant: %+v", p)
	}
}
