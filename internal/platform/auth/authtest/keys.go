package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

type signingKey struct {
	kid     string
	method  jwt.SigningMethod
	private crypto.Signer
}

func newSigningKey(tb testing.TB, alg, kid string) *signingKey {
	tb.Helper()
	key := &signingKey{kid: kid, method: jwt.GetSigningMethod(alg)}
	var err error
	switch alg {
	case "ES256":
		key.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		key.private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA":
		_, key.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		tb.Fatalf("the issuer cannot sign with %q", alg)
	}
	if err != nil {
		tb.Fatalf("make a %s key: %v", alg, err)
	}
	return key
}

func publicKeys(keys []*signingKey) []map[string]any {
	set := make([]map[string]any, 0, len(keys))
	for _, k := range keys {
		jwk := PublicJWK(k.private.Public())
		jwk["kid"], jwk["alg"], jwk["use"], jwk["key_ops"] = k.kid, k.method.Alg(), "sig", []string{"verify"}
		set = append(set, jwk)
	}
	return set
}

// PublicJWK is the key material of a public key as RFC 7517 writes it, without kid, alg and use; nil
// for a key that is none of ECDSA P-256, RSA and Ed25519.
func PublicJWK(key crypto.PublicKey) map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 0x04, then x and y of equal length
		if err != nil {
			return nil
		}
		half := (len(point) - 1) / 2
		return map[string]any{"kty": "EC", "crv": k.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(k)}
	}
	return nil
}
