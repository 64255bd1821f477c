package auth_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/internal/platform/fault"
)

func segment(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// tamper replaces the payload and keeps header and signature.
func tamper(token, payload string) string {
	parts := strings.Split(token, ".")
	return parts[0] + "." + segment(payload) + "." + parts[2]
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	es, rs := authtest.New(t, "ES256"), authtest.New(t, "RS256")
	stranger := authtest.New(t, "ES256")
	iss := es.URL()
	both := auth.Config{HS256Secret: secret, JWKSURL: es.JWKSURL(), Issuer: iss}
	rsOnly := auth.Config{HS256Secret: secret, JWKSURL: rs.JWKSURL(), Issuer: iss}
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	hs := func(changes map[string]any) string { return authtest.SignHS256(t, secret, nil, user(iss, changes)) }
	metadata := func(m map[string]any) string { return hs(map[string]any{"app_metadata": m}) }
	rsaKey, ok := rs.PublicKey().(*rsa.PublicKey)
	if !ok {
		t.Fatalf("%T is not an RSA key", rs.PublicKey())
	}
	der, err := x509.MarshalPKIXPublicKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	rsaPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	good := hs(nil)
	a := tenantA.String()

	const signature, notJWT, unknownKey = "the token's signature does not hold", "the token is not a well-formed JWT", "the token's key is not one of the issuer's"
	tests := []struct {
		name   string
		config auth.Config
		token  string
		detail string
	}{
		{"expired", both, hs(map[string]any{"exp": in(-time.Minute)}), "the token has expired"},
		{"expired, ES256", both, es.Sign(user(iss, map[string]any{"exp": in(-time.Minute)})), "the token has expired"},
		{"exp far beyond what fits", both, hs(map[string]any{"exp": 1e300}), "the token has expired"},
		{"no exp", both, hs(map[string]any{"exp": nil}), "the token has no expiry (exp)"},
		{"no exp and a future nbf", both, hs(map[string]any{"exp": nil, "nbf": in(time.Hour)}), "the token has no expiry (exp)"},
		{"exp is text", both, hs(map[string]any{"exp": "tomorrow"}), notJWT},
		{"future nbf", both, hs(map[string]any{"nbf": in(time.Minute)}), "the token is not valid yet (nbf)"},
		{"future iat", both, hs(map[string]any{"iat": in(time.Minute)}), "the token was issued in the future (iat)"},
		{"wrong audience", both, hs(map[string]any{"aud": "anon"}), "the token's audience is not authenticated"},
		{"wrong audiences", both, hs(map[string]any{"aud": []string{"a", "b"}}), "the token's audience is not authenticated"},
		{"no audience", both, hs(map[string]any{"aud": nil}), "the token's audience is not authenticated"},
		{"service token without audience", both, authtest.SignHS256(t, secret, nil, jwt.MapClaims{"role": "service_role", "iss": iss, "exp": in(time.Hour)}), "the token's audience is not authenticated"},
		{"wrong issuer", both, hs(map[string]any{"iss": iss + "/"}), "the token's issuer is not " + iss},
		{"no issuer", both, hs(map[string]any{"iss": nil}), "the token's issuer is not " + iss},

		{"unsigned", both, segment(`{"alg":"none","typ":"JWT"}`) + "." + strings.Split(good, ".")[1] + ".", "algorithm none is not accepted"},
		{"unsigned, spelt otherwise", both, segment(`{"alg":"nOnE"}`) + "." + strings.Split(good, ".")[1] + ".", "algorithm nOnE is not accepted"},
		{"unsigned, with a signature", both, segment(`{"alg":"none"}`) + "." + strings.Split(good, ".")[1] + "." + strings.Split(good, ".")[2], "algorithm none is not accepted"},
		{"signature cut off", both, good[:strings.LastIndex(good, ".")+1], signature},
		{"HS384 with the secret", both, signWith(t, jwt.SigningMethodHS384, user(iss, nil)), "algorithm HS384 is not accepted"},
		{"HS512 with the secret", both, signWith(t, jwt.SigningMethodHS512, user(iss, nil)), "algorithm HS512 is not accepted"},
		{"PS256 header on an RS256 token", rsOnly, rs.SignWith("", map[string]any{"alg": "PS256"}, user(iss, nil)), "algorithm PS256 is not accepted"},
		{"RS256 header, ES256 key", both, es.SignWith("", map[string]any{"alg": "RS256"}, user(iss, nil)), "algorithm RS256 is not the one of the key that the token names"},
		{"ES256 header, RSA key", rsOnly, rs.SignWith("", map[string]any{"alg": "ES256"}, user(iss, nil)), "algorithm ES256 is not the one of the key that the token names"},
		{"no algorithm", both, segment(`{"typ":"JWT"}`) + "." + strings.Split(good, ".")[1] + ".", "the token's algorithm is not accepted"},
		{"algorithm is a number", both, segment(`{"alg":256}`) + "." + strings.Split(good, ".")[1] + ".", "the token's algorithm is not accepted"},
		{"algorithm is an essay", both, segment(`{"alg":"`+strings.Repeat("A", 4000)+`"}`) + "." + strings.Split(good, ".")[1] + ".", "the token's algorithm is not accepted"},
		{"algorithm is markup", both, segment(`{"alg":"<b>"}`) + "." + strings.Split(good, ".")[1] + ".", "the token's algorithm is not accepted"},
		{"HS256 where no secret is", auth.Config{JWKSURL: es.JWKSURL()}, good, "algorithm HS256 is not accepted"},
		{"ES256 where no JWKS is", auth.Config{HS256Secret: secret}, es.Sign(user(iss, nil)), "algorithm ES256 is not accepted"},
		{"HS256 with the RSA public key, PEM", rsOnly, authtest.SignHS256(t, rsaPEM, map[string]any{"kid": rs.Kid()}, user(iss, nil)), signature},
		{"HS256 with the RSA public key, DER", rsOnly, authtest.SignHS256(t, der, map[string]any{"kid": rs.Kid()}, user(iss, nil)), signature},
		{"HS256 with the RSA public key, no secret", auth.Config{JWKSURL: rs.JWKSURL()}, authtest.SignHS256(t, rsaPEM, map[string]any{"kid": rs.Kid()}, user(iss, nil)), "algorithm HS256 is not accepted"},
		{"HS256 with an empty secret", both, authtest.SignHS256(t, []byte{}, nil, user(iss, nil)), signature},
		{"HS256 with another secret", both, authtest.SignHS256(t, []byte(strings.Repeat("x", 32)), nil, user(iss, nil)), signature},
		{"tampered payload", both, tamper(good, `{"sub":"x","role":"service_role","aud":"authenticated","exp":9999999999}`), signature},
		{"tampered payload, ES256", both, tamper(es.Sign(user(iss, nil)), `{"sub":"x","role":"service_role","exp":9999999999}`), signature},
		{"another issuer's key under the same kid", both, stranger.Sign(user(iss, nil)), signature},
		{"own key in the header", both, stranger.SignWith("", map[string]any{"kid": "mine", "jwk": authtest.PublicJWK(stranger.PublicKey())}, user(iss, nil)), unknownKey},
		{"own JWKS in the header", both, stranger.SignWith("", map[string]any{"kid": "mine", "jku": stranger.JWKSURL()}, user(iss, nil)), unknownKey},
		{"critical extension", both, authtest.SignHS256(t, secret, map[string]any{"crit": []string{"b64"}, "b64": false}, user(iss, nil)), "the token demands an extension (crit) that is not supported"},

		{"unknown kid", both, es.SignWith("", map[string]any{"kid": "key-999"}, user(iss, nil)), unknownKey},
		{"kid climbs out of a folder", both, es.SignWith("", map[string]any{"kid": "../../../../dev/null"}, user(iss, nil)), unknownKey},
		{"kid is a file URL", both, es.SignWith("", map[string]any{"kid": "file:///etc/passwd"}, user(iss, nil)), unknownKey},
		{"kid is SQL", both, es.SignWith("", map[string]any{"kid": "x' UNION SELECT 'key'--"}, user(iss, nil)), unknownKey},
		{"kid holds a zero byte", both, es.SignWith("", map[string]any{"kid": "key-1\x00"}, user(iss, nil)), unknownKey},
		{"kid is a number", both, es.SignWith("", map[string]any{"kid": 1}, user(iss, nil)), "the token's kid is not a string"},
		{"kid is null", both, segment(`{"alg":"ES256","kid":null}`) + "." + strings.Split(good, ".")[1] + ".AAAA", "the token's kid is not a string"},

		{"empty", both, "", notJWT},
		{"one part", both, "abc", notJWT},
		{"two parts", both, "abc.def", notJWT},
		{"four parts", both, good + ".x", notJWT},
		{"only dots", both, strings.Repeat(".", 10_000), notJWT},
		{"padding", both, good + "=", notJWT},
		{"header is not JSON", both, segment("hello") + good[strings.Index(good, "."):], notJWT},
		{"payload is a list", both, authtest.SignHS256(t, secret, nil, rawClaims(`[1,2]`)), notJWT},
		{"payload is null", both, authtest.SignHS256(t, secret, nil, rawClaims(`null`)), "the token has no expiry (exp)"},
		{"longer than 16 KiB", both, hs(map[string]any{"pad": strings.Repeat("x", 16<<10)}), "the token is longer than 16 KiB"},

		{"role anon", both, hs(map[string]any{"role": "anon"}), "role anon is not accepted: sign in"},
		{"unknown role", both, hs(map[string]any{"role": "postgres"}), "the token's role is not accepted"},
		{"role of a tenant", both, hs(map[string]any{"role": "owner"}), "the token's role is not accepted"},
		{"no role", both, hs(map[string]any{"role": nil}), "the token has no role"},
		{"no subject", both, hs(map[string]any{"sub": nil}), "the token has no usable subject (sub)"},
		{"subject with a newline", both, hs(map[string]any{"sub": "a\nlevel=ERROR"}), "the token has no usable subject (sub)"},
		{"subject too long", both, hs(map[string]any{"sub": strings.Repeat("s", 256)}), "the token has no usable subject (sub)"},
		{"tenant is a slug", both, metadata(map[string]any{"tenant_id": "acme", "role": "owner"}), "app_metadata.tenant_id is not a UUID"},
		{"tenant without role", both, metadata(map[string]any{"tenant_id": a}), "app_metadata.tenant_id comes without app_metadata.role"},
		{"unknown tenant role", both, metadata(map[string]any{"tenant_id": a, "role": "root"}), "app_metadata.role is not a tenant role"},
		{"service_role by metadata", both, metadata(map[string]any{"tenant_id": a, "role": "service_role"}), "app_metadata.role is not a tenant role"},
		{"service_role in a tenant", both, metadata(map[string]any{"tenants": map[string]any{a: "service_role"}}), "app_metadata.tenants holds a role that is not a tenant role"},
		{"a tenant that is no UUID", both, metadata(map[string]any{"tenants": map[string]any{"acme": "owner"}}), "app_metadata.tenants names a tenant that is not a UUID"},
		{"a tenant twice", both, metadata(map[string]any{"tenants": map[string]any{a: "viewer", strings.ToUpper(a): "owner"}}), "app_metadata.tenants names a tenant twice"},
		{"two roles in one tenant", both, metadata(map[string]any{"tenant_id": a, "role": "viewer", "tenants": map[string]any{a: "owner"}}), "app_metadata gives two roles in one tenant"},
		{"tenants is a list", both, metadata(map[string]any{"tenants": []string{a}}), notJWT},
		{"service token with a slug", both, authtest.SignHS256(t, secret, nil, jwt.MapClaims{"role": "service_role", "aud": "authenticated", "iss": iss, "exp": in(time.Hour), "app_metadata": map[string]any{"tenant_id": "acme"}}), "app_metadata.tenant_id is not a UUID"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, tt.config)
			for range 2 { // the second time finds nothing in the cache either
				p, err := v.Verify(t.Context(), tt.token)
				if p != nil {
					t.Fatalf("let in as %+v", p)
				}
				wantFault(t, err, fault.Unauthenticated, tt.detail)
				wantNoEcho(t, err, tt.token)
			}
		})
	}
}

// A token has one spelling: the unused last bits of its base64 are not free (RFC 4648 §3.5).
func TestTokenHasOneSpelling(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, auth.Config{HS256Secret: secret})
	token := authtest.SignHS256(t, secret, nil, user("", nil)) // 32 bytes: the last character has 2 free bits
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	respelt := token[:len(token)-1] + alphabet[last|1:last|1+1]
	_, err := v.Verify(t.Context(), respelt)
	wantFault(t, err, fault.Unauthenticated, "the token is not a well-formed JWT")
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
}

func signWith(tb testing.TB, method jwt.SigningMethod, c jwt.Claims) string {
	tb.Helper()
	token, err := jwt.NewWithClaims(method, c).SignedString(secret)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// rawClaims is a payload given as text.
type rawClaims string

func (r rawClaims) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func (rawClaims) GetExpirationTime() (*jwt.NumericDate, error) { return nil, nil }
func (rawClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (rawClaims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (rawClaims) GetIssuer() (string, error)                   { return "", nil }
func (rawClaims) GetSubject() (string, error)                  { return "", nil }
func (rawClaims) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }
