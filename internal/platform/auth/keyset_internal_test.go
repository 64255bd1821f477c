package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"testing"

	"github.com/larirun/lari/internal/platform/auth/authtest"
)

func jwkOf(key crypto.PublicKey, changes map[string]any) map[string]any {
	jwk := authtest.PublicJWK(key)
	maps.Copy(jwk, changes)
	return jwk
}

func ecKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// A key that cannot verify what is accepted here is left out, and does not hurt its neighbours.
func TestParseKeySetPinsOrLeavesOut(t *testing.T) {
	t.Parallel()
	p256, p384 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	scalar, err := p256.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	tests := []struct {
		name string
		jwk  any
		alg  string // "": left out
	}{
		{"P-256", jwkOf(p256.Public(), nil), "ES256"},
		{"P-256 that says so", jwkOf(p256.Public(), map[string]any{"alg": "ES256", "use": "sig"}), "ES256"},
		{"RSA", jwkOf(rsa2048.Public(), nil), "RS256"},
		{"Ed25519", jwkOf(edPublic, nil), "EdDSA"},
		{"P-384", jwkOf(p384.Public(), nil), ""},
		{"RSA for PS256", jwkOf(rsa2048.Public(), map[string]any{"alg": "PS256"}), ""},
		{"RSA that says HS256", jwkOf(rsa2048.Public(), map[string]any{"alg": "HS256"}), ""},
		{"for encryption", jwkOf(rsa2048.Public(), map[string]any{"use": "enc"}), ""},
		{"shared secret", map[string]any{"kty": "oct", "k": b64(make([]byte, 32)), "alg": "HS256"}, ""},
		{"published private key", jwkOf(p256.Public(), map[string]any{"d": b64(scalar)}), ""},
		{"RSA of 1024 bits", jwkOf(rsa2048.Public(), map[string]any{"n": b64(rsa2048.N.Bytes()[:128])}), ""},
		{"RSA with exponent 1", jwkOf(rsa2048.Public(), map[string]any{"e": "AQ"}), ""},
		{"RSA with even exponent", jwkOf(rsa2048.Public(), map[string]any{"e": "BA"}), ""},
		{"RSA without modulus", map[string]any{"kty": "RSA", "e": "AQAB"}, ""},
		{"point off the curve", jwkOf(p256.Public(), map[string]any{"y": authtest.PublicJWK(p256.Public())["x"]}), ""},
		{"Ed25519 of 31 bytes", map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(edPublic[:31])}, ""},
		{"unknown type", map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, ""},
		{"a number", 7, ""},
		{"null", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			neighbour := jwkOf(edPublic, map[string]any{"kid": "neighbour"})
			raw, err := json.Marshal(map[string]any{"keys": []any{tt.jwk, neighbour}})
			if err != nil {
				t.Fatal(err)
			}
			set, err := parseKeySet(t.Context(), raw)
			if err != nil || len(set) == 0 || set[len(set)-1].kid != "neighbour" {
				t.Fatalf("set %v, error %v", set, err)
			}
			got := ""
			if len(set) == 2 {
				got = set[0].alg
			}
			if got != tt.alg {
				t.Errorf("pinned to %q, want %q", got, tt.alg)
			}
		})
	}
}

func TestKeySetFind(t *testing.T) {
	t.Parallel()
	set := keySet{
		{kid: "a", alg: "ES256", key: 1},
		{kid: "b", alg: "RS256", key: 2},
		{kid: "b", alg: "ES256", key: 3}, // one kid for two types of key is allowed (RFC 7517 §4.5)
		{kid: "c", alg: "EdDSA", key: 4},
		{kid: "d", alg: "EdDSA", key: 5},
		{kid: "d", alg: "EdDSA", key: 6},
	}
	tests := []struct {
		kid, alg string
		key      any
		err      error
	}{
		{"a", "ES256", 1, nil},
		{"b", "ES256", 3, nil},
		{"b", "RS256", 2, nil},
		{"a", "RS256", nil, errOtherKey},
		{"b", "EdDSA", nil, errOtherKey},
		{"x", "ES256", nil, errUnknownKey},
		{"d", "EdDSA", nil, errAmbiguousKey},
		{"", "RS256", 2, nil},
		{"", "ES256", nil, errAmbiguousKey},
		{"", "PS256", nil, errUnknownKey},
	}
	for _, tt := range tests {
		key, err := set.find(tt.kid, tt.alg)
		if key != tt.key || !errors.Is(err, tt.err) {
			t.Errorf("find(%q, %s) = %v, %v; want %v, %v", tt.kid, tt.alg, key, err, tt.key, tt.err)
		}
	}
}

func FuzzParseKeySet(f *testing.F) {
	key := ecKey(f, elliptic.P256())
	raw, err := json.Marshal(map[string]any{"keys": []any{jwkOf(key.Public(), map[string]any{"kid": "k"})}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(raw), `{}`, `{"keys":null}`, `{"keys":[{"kty":"RSA","n":"AQ","e":"AQ"}]}`, `{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := parseKeySet(t.Context(), raw)
		if err != nil && set != nil {
			t.Fatalf("an error and a set: %v", err)
		}
		for _, k := range set {
			if k.alg == "" || k.key == nil || algorithmOf(k.key) != k.alg {
				t.Fatalf("a key without its pin: %+v", k)
			}
		}
	})
}
