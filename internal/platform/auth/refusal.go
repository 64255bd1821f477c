package auth

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"

	"github.com/larirun/lari/internal/platform/fault"
)

// refuse is a credential that does not hold.
func refuse(format string, args ...any) error {
	return fault.New(fault.Unauthenticated, format, args...)
}

func errMalformedToken() error { return refuse("the token is not a well-formed JWT") }

// refuseAlgorithm names the algorithm only when it looks like one: the header is the caller's text,
// and an error must not become a way to print it.
func refuseAlgorithm(alg string) error {
	if len(alg) == 0 || len(alg) > 16 {
		return refuse("the token's algorithm is not accepted")
	}
	for _, c := range []byte(alg) {
		if !isBase62(c) && c != '-' {
			return refuse("the token's algorithm is not accepted")
		}
	}
	return refuse("algorithm %s is not accepted", alg)
}

// refusal translates what the parser found into one precise sentence. The parser's own error is dropped
// and not wrapped: some of them quote parts of the token.
func (v *Verifier) refusal(err error, t *jwt.Token, c *claims) error {
	var ours *fault.Error
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, jwt.ErrTokenMalformed):
		return errMalformedToken()
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		alg, _ := t.Header["alg"].(string)
		return refuseAlgorithm(alg)
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return refuse("the token's signature does not hold")
	case c.ExpiresAt == nil:
		return refuse("the token has no expiry (exp)")
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse("the token has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refuse("the token is not valid yet (nbf)")
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return refuse("the token was issued in the future (iat)")
	case errors.Is(err, jwt.ErrTokenInvalidAudience), len(c.Audience) == 0:
		return refuse("the token's audience is not %s", v.audience)
	case errors.Is(err, jwt.ErrTokenInvalidIssuer), c.Issuer == "":
		return refuse("the token's issuer is not %s", v.issuer)
	}
	return refuse("the token does not hold")
}
