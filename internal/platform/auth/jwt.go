package auth

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/strictjson"
)

// Limits and defaults of the verification of tokens.
const (
	MaxTokenBytes   = 16 << 10        // a longer credential is refused unread
	MinSecretBytes  = 32              // HS256 wants a key as long as its hash (RFC 7518 §3.2)
	DefaultAudience = "authenticated" // what Supabase Auth puts into aud
	DefaultLeeway   = 30 * time.Second
)

// Config says which tokens are accepted. At least one of HS256Secret and JWKSURL is given.
type Config struct {
	HS256Secret     []byte        // the project's JWT secret, MinSecretBytes or more; nil: HS256 is refused
	JWKSURL         string        // the issuer's keys (RFC 7517), http or https; "": ES256, RS256 and EdDSA are refused
	Issuer          string        // the iss every token must carry; "": not checked
	Audience        string        // the aud every token must carry, service tokens too; "": DefaultAudience
	Leeway          time.Duration // how far the issuer's clock may be off; 0: DefaultLeeway
	HTTPClient      *http.Client  // fetches the keys, at most 5 s each time; nil: a plain one
	RefreshInterval time.Duration // how often the keys are fetched; 0: 10 min
	RefreshFloor    time.Duration // the least time between two fetches, whatever asks for them; 0: 5 s
	Logger          *slog.Logger  // told when the issuer's keys become unreachable and reachable; nil: silent
}

// Verifier checks the JWTs of one issuer. It is safe for concurrent use.
type Verifier struct {
	secret   []byte
	audience string
	issuer   string
	keys     *keySource
	parser   *jwt.Parser
	cache    *tokenCache
}

// NewVerifier starts a verifier. With a JWKS URL it owns one goroutine that keeps the keys fresh until
// Close; it does not wait for the first fetch and starts when the issuer is down. A config that cannot
// work is Invalid.
func NewVerifier(c Config) (*Verifier, error) {
	if len(c.HS256Secret) == 0 && c.JWKSURL == "" {
		return nil, fault.InvalidField("jwt", "required", "needs a secret, a JWKS URL or both")
	}
	if n := len(c.HS256Secret); n > 0 && n < MinSecretBytes {
		return nil, fault.InvalidField("jwt.secret", "min", "must be at least %d bytes", MinSecretBytes)
	}
	if c.Leeway < 0 || c.RefreshInterval < 0 || c.RefreshFloor < 0 {
		return nil, fault.InvalidField("jwt", "min", "takes no negative duration")
	}
	if c.Leeway == 0 {
		c.Leeway = DefaultLeeway
	}
	if c.Audience == "" {
		c.Audience = DefaultAudience
	}
	cache, err := newTokenCache()
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		secret:   slices.Clone(c.HS256Secret),
		audience: c.Audience,
		issuer:   c.Issuer,
		parser:   newParser(c),
		cache:    cache,
	}
	if c.JWKSURL != "" {
		if v.keys, err = startKeySource(c); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// newParser decodes strictly so that a token has exactly one spelling.
func newParser(c Config) *jwt.Parser {
	options := []jwt.ParserOption{
		jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(c.Leeway),
		jwt.WithAudience(c.Audience),
	}
	if c.Issuer != "" {
		options = append(options, jwt.WithIssuer(c.Issuer))
	}
	return jwt.NewParser(options...)
}

// Close ends the refreshing of keys and waits until it has ended. It may be called more than once.
func (v *Verifier) Close() {
	if v.keys != nil {
		v.keys.close()
	}
}

// Verify gives the caller that a token speaks for. A token that held is remembered for up to a minute,
// so a key that the issuer withdraws is honoured that much longer.
//
// Errors: Unauthenticated when the token does not hold; Unavailable when its key cannot be had from
// the issuer right now; Cancelled or Timeout when ctx ended while waiting for it.
func (v *Verifier) Verify(ctx context.Context, token string) (*Principal, error) {
	if len(token) > MaxTokenBytes {
		return nil, refuse("the token is longer than %d KiB", MaxTokenBytes>>10)
	}
	now := time.Now()
	sum := sha256.Sum256([]byte(token))
	if p := v.cache.get(sum, now); p != nil {
		return p, nil
	}
	if err := v.checkHeader(token); err != nil {
		return nil, err
	}
	var c claims
	t, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) { return v.key(ctx, t) })
	if err != nil {
		return nil, v.refusal(err, t, &c)
	}
	p, err := c.principal()
	if err != nil {
		return nil, err
	}
	v.cache.add(sum, p, now)
	return p, nil
}

// checkHeader refuses a JOSE header with a name twice (RFC 7515 §4): the parser would take the last alg or kid,
// another reader the first.
func (v *Verifier) checkHeader(token string) error {
	encoded, _, _ := strings.Cut(token, ".")
	header, err := v.parser.DecodeSegment(encoded)
	if err != nil || strictjson.Check(header) != nil {
		return errMalformedToken()
	}
	return nil
}

// key picks the key by algorithm first: the secret is never offered to an asymmetric algorithm, nor a
// public key to HMAC. Keys that the token itself brings (jwk, jku, x5u, x5c) are never looked at.
func (v *Verifier) key(ctx context.Context, t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok { // RFC 7515 §4.1.11: what is critical and not understood is refused
		return nil, refuse("the token demands an extension (crit) that is not supported")
	}
	alg := t.Method.Alg()
	switch alg {
	case jwt.SigningMethodHS256.Alg():
		if len(v.secret) == 0 {
			return nil, refuseAlgorithm(alg)
		}
		return v.secret, nil
	case jwt.SigningMethodES256.Alg(), jwt.SigningMethodRS256.Alg(), jwt.SigningMethodEdDSA.Alg():
		if v.keys == nil {
			return nil, refuseAlgorithm(alg)
		}
		kid, ok := t.Header["kid"].(string)
		if _, present := t.Header["kid"]; present && !ok {
			return nil, refuse("the token's kid is not a string")
		}
		return v.keys.find(ctx, kid, alg)
	}
	return nil, refuseAlgorithm(alg)
}
