// Package authtest is a small issuer for tests: it mints the tokens Supabase Auth mints and serves their
// public keys over real HTTP.
package authtest

import (
	"crypto"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// Issuer is an authentication server with asymmetric keys. It is safe for concurrent use.
type Issuer struct {
	tb      testing.TB
	server  *httptest.Server
	fetched chan struct{}

	mu      sync.Mutex
	keys    []*signingKey // the last one signs
	minted  int           // how many keys there ever were, for their ids
	down    bool
	fetches int
}

// New starts an issuer with one key of the algorithm (ES256, RS256 or EdDSA) and stops it with the test.
func New(tb testing.TB, alg string) *Issuer {
	tb.Helper()
	i := &Issuer{tb: tb, fetched: make(chan struct{}, 1024)}
	i.Rotate(alg)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/v1/.well-known/jwks.json", i.serveKeys)
	i.server = httptest.NewServer(mux)
	tb.Cleanup(i.server.Close)
	return i
}

// URL is the iss of the tokens, as Supabase writes it.
func (i *Issuer) URL() string { return i.server.URL + "/auth/v1" }

// JWKSURL is where the public keys are.
func (i *Issuer) JWKSURL() string { return i.URL() + "/.well-known/jwks.json" }

// Rotate makes a new key of the algorithm the signing one, publishes it beside the old ones and gives
// its kid.
func (i *Issuer) Rotate(alg string) string {
	i.tb.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.minted++
	key := newSigningKey(i.tb, alg, "key-"+strconv.Itoa(i.minted))
	i.keys = append(i.keys, key)
	return key.kid
}

// Retire withdraws a key from the published set; SignWith can no longer use it.
func (i *Issuer) Retire(kid string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = slices.DeleteFunc(i.keys, func(k *signingKey) bool { return k.kid == kid })
}

// Down switches the issuer off (connections are dropped without an answer) or on again.
func (i *Issuer) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Fetches counts how often the keys were asked for, answered or not.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// Fetched receives a value for every fetch, so that a test can wait for the next one.
func (i *Issuer) Fetched() <-chan struct{} { return i.fetched }

// Kid is the id of the signing key.
func (i *Issuer) Kid() string { return i.signing("").kid }

// PublicKey is the public part of the signing key.
func (i *Issuer) PublicKey() crypto.PublicKey { return i.signing("").private.Public() }

// Sign mints a token with the signing key.
func (i *Issuer) Sign(claims jwt.Claims) string {
	i.tb.Helper()
	return i.SignWith("", nil, claims)
}

// SignWith mints a token with the key of that kid ("": the signing one) and with header fields set, or
// removed where the value is nil.
func (i *Issuer) SignWith(kid string, header map[string]any, claims jwt.Claims) string {
	i.tb.Helper()
	key := i.signing(kid)
	token := jwt.NewWithClaims(key.method, claims)
	token.Header["kid"] = key.kid
	return sign(i.tb, token, header, key.private)
}

// SignHS256 mints a token as a project with a shared secret does, without a kid.
func SignHS256(tb testing.TB, secret []byte, header map[string]any, claims jwt.Claims) string {
	tb.Helper()
	return sign(tb, jwt.NewWithClaims(jwt.SigningMethodHS256, claims), header, secret)
}

func sign(tb testing.TB, token *jwt.Token, header map[string]any, key any) string {
	tb.Helper()
	for name, value := range header {
		if value == nil {
			delete(token.Header, name)
			continue
		}
		token.Header[name] = value
	}
	signed, err := token.SignedString(key)
	if err != nil {
		tb.Fatalf("sign a token: %v", err)
	}
	return signed
}

func (i *Issuer) signing(kid string) *signingKey {
	i.tb.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, k := range slices.Backward(i.keys) {
		if kid == "" || k.kid == kid {
			return k
		}
	}
	i.tb.Fatalf("the issuer has no key %q", kid)
	return nil
}

func (i *Issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	i.fetches++
	down := i.down
	document := map[string]any{"keys": publicKeys(i.keys)}
	i.mu.Unlock()
	select {
	case i.fetched <- struct{}{}:
	default:
	}
	if down {
		panic(http.ErrAbortHandler) // net/http's way to drop the connection
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		i.tb.Logf("serve keys: %v", err)
	}
}
