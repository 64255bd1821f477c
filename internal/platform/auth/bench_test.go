package auth_test

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
)

func BenchmarkVerifyCached(b *testing.B) {
	v := newVerifier(b, auth.Config{HS256Secret: secret})
	a := auth.Authenticator{Verifier: v}
	header := "Bearer " + authtest.SignHS256(b, secret, nil, user("https://project.supabase.co/auth/v1", nil))
	b.SetBytes(int64(len(header)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), header, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// Every iteration has a token of its own, signed outside the clock.
func BenchmarkVerifyUncached(b *testing.B) {
	issuers := map[string]*authtest.Issuer{"ES256": authtest.New(b, "ES256"), "RS256": authtest.New(b, "RS256")}
	for _, alg := range []string{"HS256", "ES256", "RS256"} {
		b.Run(alg, func(b *testing.B) {
			c := auth.Config{HS256Secret: secret}
			sign := func(claims jwt.Claims) string { return authtest.SignHS256(b, secret, nil, claims) }
			if issuer := issuers[alg]; issuer != nil {
				c.JWKSURL, sign = issuer.JWKSURL(), issuer.Sign
			}
			v := newVerifier(b, c)
			claims := user("https://project.supabase.co/auth/v1", nil)
			tokens := make([]string, b.N)
			for n := range tokens {
				claims["amr"] = n
				tokens[n] = sign(claims)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for _, token := range tokens {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKeyCached(b *testing.B) {
	store := &keyTable{}
	key := store.issue(b, nil)
	a := auth.Authenticator{Keys: newKeys(b, store)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), "", key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCan(b *testing.B) {
	p := &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenantA: auth.RoleOwner}}
	b.ReportAllocs()
	for b.Loop() {
		if !p.Can(tenantA, auth.TenantManage) {
			b.Fatal("cannot")
		}
	}
}
