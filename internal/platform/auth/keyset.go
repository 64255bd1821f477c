package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/larirun/lari/internal/platform/strictjson"
)

// minRSABits is the least size RFC 7518 §3.3 allows for RS256.
const minRSABits = 2048

var (
	errUnknownKey   = errors.New("no such key in the set")
	errAmbiguousKey = errors.New("several keys of that algorithm and no kid")
	errOtherKey     = errors.New("the key is of another algorithm")
)

// keySet are the verification keys of a JWK Set (RFC 7517), each pinned to one algorithm.
type keySet []pinnedKey

type pinnedKey struct {
	kid string
	alg string
	key any // *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey
}

// parseKeySet reads a JWK Set. Keys that cannot verify what is accepted here (encryption keys, shared
// secrets, private keys, other curves, short RSA keys, broken ones, ones with a name twice) are left out, as
// RFC 7517 §5 asks: one odd key must not lock everybody out.
func parseKeySet(ctx context.Context, raw []byte) (keySet, error) {
	document, err := strictjson.Members(raw)
	if err != nil {
		return nil, fmt.Errorf("not a JWK Set: %w", err)
	}
	var keys []json.RawMessage
	if err := json.Unmarshal(document["keys"], &keys); err != nil || keys == nil {
		return nil, errors.New("not a JWK Set: no list of keys")
	}
	set := make(keySet, 0, len(keys))
	for _, one := range keys {
		if k, ok := parseKey(ctx, one); ok {
			set = append(set, k)
		}
	}
	return set, nil
}

// publicKey are the members of a JWK by which a signature is verified. The library that makes a key of them
// matches names without regard to case, so it is shown these alone.
type publicKey struct {
	Kty string   `json:"kty"`
	Use string   `json:"use,omitempty"`
	Ops []string `json:"key_ops,omitempty"`
	Alg string   `json:"alg,omitempty"`
	Kid string   `json:"kid,omitempty"`
	Crv string   `json:"crv,omitempty"`
	X   string   `json:"x,omitempty"`
	Y   string   `json:"y,omitempty"`
	N   string   `json:"n,omitempty"`
	E   string   `json:"e,omitempty"`
}

func parseKey(ctx context.Context, raw json.RawMessage) (pinnedKey, bool) {
	var key struct {
		publicKey
		D string `json:"d"`
	}
	if err := strictjson.Unmarshal(raw, &key); err != nil {
		return pinnedKey{}, false
	}
	if key.D != "" { // a published private key: anybody can sign with it
		return pinnedKey{}, false
	}
	if key.Use != "" && key.Use != "sig" {
		return pinnedKey{}, false
	}
	public, err := json.Marshal(key.publicKey)
	if err != nil {
		return pinnedKey{}, false
	}
	parsed, err := keyfunc.NewJWKJSON(public)
	if err != nil {
		return pinnedKey{}, false
	}
	keys, err := parsed.VerificationKeySet(ctx)
	if err != nil || len(keys.Keys) != 1 {
		return pinnedKey{}, false
	}
	alg := algorithmOf(keys.Keys[0])
	if alg == "" || key.Alg != "" && key.Alg != alg {
		return pinnedKey{}, false
	}
	return pinnedKey{kid: key.Kid, alg: alg, key: keys.Keys[0]}, true
}

// algorithmOf gives the only algorithm a key is used with, "" for a key that is not used.
func algorithmOf(key any) string {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return ""
		}
		return jwt.SigningMethodES256.Alg()
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits || k.E < 3 || k.E%2 == 0 {
			return ""
		}
		return jwt.SigningMethodRS256.Alg()
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA.Alg()
	}
	return ""
}

// find gives the key for a token. Without a kid the set must hold exactly one key of the algorithm.
func (s keySet) find(kid, alg string) (any, error) {
	var match any
	err := errUnknownKey
	for _, k := range s {
		switch {
		case kid != "" && k.kid != kid:
			continue
		case k.alg != alg:
			if kid != "" && match == nil {
				err = errOtherKey
			}
			continue
		case match != nil:
			return nil, errAmbiguousKey
		}
		match, err = k.key, nil
	}
	return match, err
}
