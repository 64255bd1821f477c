package auth_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

func TestMintedTokensHold(t *testing.T) {
	t.Parallel()
	for _, role := range auth.Roles() {
		for _, tenant := range []uuid.UUID{tenantA, uuid.Nil} {
			if tenant == uuid.Nil && role != auth.RoleService {
				continue
			}
			t.Run(string(role)+" "+tenant.String(), func(t *testing.T) {
				t.Parallel()
				token, err := auth.Mint(secret, auth.MintConfig{Tenant: tenant, Role: role, Subject: "dev", Issuer: "lari", Audience: "tests", TTL: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				v := newVerifier(t, auth.Config{HS256Secret: secret, Issuer: "lari", Audience: "tests"})
				p, err := v.Verify(t.Context(), token)
				if err != nil {
					t.Fatal(err)
				}
				if left := time.Until(p.ExpiresAt); p.Subject != "dev" || p.DefaultTenant != tenant || left < 59*time.Minute || left > time.Hour {
					t.Errorf("principal %+v", p)
				}
				if got, _ := p.Role(tenantA); got != role {
					t.Errorf("role %q, want %q", got, role)
				}
				if _, elsewhere := p.Role(tenantB); elsewhere != (role == auth.RoleService) {
					t.Errorf("a member of another tenant: %v", elsewhere)
				}
			})
		}
	}
}

func TestMintDefaults(t *testing.T) {
	t.Parallel()
	token, err := auth.Mint(secret, auth.MintConfig{Role: auth.RoleService, TTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newVerifier(t, auth.Config{HS256Secret: secret}).Verify(t.Context(), token)
	if err != nil || p.Subject != "service_role" || !p.Service {
		t.Errorf("principal %+v, error %v", p, err)
	}
}

func TestMintRefusesWhatNoVerifierAccepts(t *testing.T) {
	t.Parallel()
	good := auth.MintConfig{Tenant: tenantA, Role: auth.RoleOwner, Subject: "dev", TTL: time.Hour}
	tests := []struct {
		field  string
		secret []byte
		change func(*auth.MintConfig)
	}{
		{"secret", secret[:31], func(*auth.MintConfig) {}},
		{"role", secret, func(c *auth.MintConfig) { c.Role = "root" }},
		{"role", secret, func(c *auth.MintConfig) { c.Role = "" }},
		{"tenant", secret, func(c *auth.MintConfig) { c.Tenant = uuid.Nil }},
		{"subject", secret, func(c *auth.MintConfig) { c.Subject = "" }},
		{"subject", secret, func(c *auth.MintConfig) { c.Subject = "a b" }},
		{"ttl", secret, func(c *auth.MintConfig) { c.TTL = 999 * time.Millisecond }},
		{"ttl", secret, func(c *auth.MintConfig) { c.TTL = -time.Hour }},
	}
	for _, tt := range tests {
		c := good
		tt.change(&c)
		token, err := auth.Mint(tt.secret, c)
		if token != "" {
			t.Errorf("%s: a token all the same", tt.field)
		}
		wantFault(t, err, fault.Invalid, "")
		if fields := fieldsOf(err); len(fields) != 1 || fields[0] != tt.field {
			t.Errorf("fields %v, want %s", fields, tt.field)
		}
	}
}
