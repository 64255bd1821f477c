package auth

import (
	"context"
	"strings"

	"github.com/larirun/lari/internal/platform/fault"
)

// Authenticator turns the credential of a request into a caller. A nil part is a kind of credential
// that is not accepted.
type Authenticator struct {
	Verifier *Verifier
	Keys     *Keys
}

// Authenticate reads "Authorization: Bearer <JWT or API key>" (RFC 6750 §2.1) or "X-API-Key: <key>",
// given as the headers' values; "" is an absent header.
//
// Errors: Malformed when both are given (RFC 6750 §2 allows one), Unauthenticated for a missing or
// refused credential, and those of Verifier.Verify and Keys.Authenticate.
func (a *Authenticator) Authenticate(ctx context.Context, authorizationHeader, apiKeyHeader string) (*Principal, error) {
	switch {
	case authorizationHeader != "" && apiKeyHeader != "":
		return nil, fault.New(fault.Malformed, "send Authorization or X-API-Key, not both")
	case apiKeyHeader != "":
		return a.key(ctx, apiKeyHeader)
	case authorizationHeader == "":
		return nil, refuse("no credential: send Authorization: Bearer <token> or X-API-Key: <key>")
	}
	scheme, credential, _ := strings.Cut(authorizationHeader, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, refuse("the Authorization scheme is not accepted: use Bearer")
	}
	credential = strings.Trim(credential, " ")
	switch {
	case credential == "":
		return nil, refuse("the bearer token is empty")
	case strings.ContainsAny(credential, " \t\r\n,"): // two tokens, or a header sent twice
		return nil, refuse("the Authorization header holds more than one token")
	case strings.HasPrefix(credential, KeyPrefix):
		return a.key(ctx, credential)
	case a.Verifier == nil:
		return nil, refuse("tokens are not accepted here, API keys are")
	}
	return a.Verifier.Verify(ctx, credential)
}

func (a *Authenticator) key(ctx context.Context, key string) (*Principal, error) {
	if a.Keys == nil {
		return nil, refuse("API keys are not accepted here")
	}
	return a.Keys.Authenticate(ctx, key)
}

// NeedsLookup reports whether the credential can only be judged by looking it up: it has the form of an API key and is
// none that this process has let in lately.
func (a *Authenticator) NeedsLookup(authorizationHeader, apiKeyHeader string) bool {
	key := apiKeyHeader
	if key == "" {
		_, credential, _ := strings.Cut(authorizationHeader, " ")
		if key = strings.Trim(credential, " "); !strings.HasPrefix(key, KeyPrefix) {
			return false
		}
	}
	return a.Keys != nil && !a.Keys.remembers(key)
}
