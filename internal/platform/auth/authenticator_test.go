package auth_test

import (
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/internal/platform/fault"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	store := &keyTable{}
	key := store.issue(t, nil)
	token := authtest.SignHS256(t, secret, nil, user("", nil))
	keys, verifier := newKeys(t, store), newVerifier(t, auth.Config{HS256Secret: secret})
	both := auth.Authenticator{Verifier: verifier, Keys: keys}
	const none = "no credential: send Authorization: Bearer <token> or X-API-Key: <key>"
	const scheme = "the Authorization scheme is not accepted: use Bearer"
	const twice = "the Authorization header holds more than one token"
	tests := []struct {
		name          string
		a             auth.Authenticator
		authorization string
		apiKey        string
		kind          auth.Kind
		code          fault.Code
		detail        string
	}{
		{"token", both, "Bearer " + token, "", auth.KindUser, "", ""},
		{"token, scheme in lower case", both, "bearer " + token, "", auth.KindUser, "", ""},
		{"token, two spaces", both, "Bearer  " + token, "", auth.KindUser, "", ""},
		{"key as bearer", both, "Bearer " + key, "", auth.KindAPIKey, "", ""},
		{"key in its header", both, "", key, auth.KindAPIKey, "", ""},
		{"nothing", both, "", "", "", fault.Unauthenticated, none},
		{"both", both, "Bearer " + token, key, "", fault.Malformed, "send Authorization or X-API-Key, not both"},
		{"Basic", both, "Basic dXNlcjpwYXNz", "", "", fault.Unauthenticated, scheme},
		{"token without a scheme", both, token, "", "", fault.Unauthenticated, scheme},
		{"leading space", both, " Bearer " + token, "", "", fault.Unauthenticated, scheme},
		{"tab for the space", both, "Bearer\t" + token, "", "", fault.Unauthenticated, scheme},
		{"empty bearer", both, "Bearer", "", "", fault.Unauthenticated, "the bearer token is empty"},
		{"blank bearer", both, "Bearer   ", "", "", fault.Unauthenticated, "the bearer token is empty"},
		{"two tokens", both, "Bearer " + token + " " + token, "", "", fault.Unauthenticated, twice},
		{"header sent twice", both, "Bearer " + token + ", Bearer " + token, "", "", fault.Unauthenticated, twice},
		{"longer than 16 KiB", both, "Bearer " + strings.Repeat("x", auth.MaxTokenBytes+1), "", "", fault.Unauthenticated, "the token is longer than 16 KiB"},
		{"garbage", both, "Bearer x", "", "", fault.Unauthenticated, "the token is not a well-formed JWT"},
		{"token in the key's header", both, "", token, "", fault.Unauthenticated, "the API key is not of the form lari_<12 characters>_<46 characters>"},
		{"no tokens here", auth.Authenticator{Keys: keys}, "Bearer " + token, "", "", fault.Unauthenticated, "tokens are not accepted here, API keys are"},
		{"no keys here", auth.Authenticator{Verifier: verifier}, "", key, "", fault.Unauthenticated, "API keys are not accepted here"},
		{"no keys here, as bearer", auth.Authenticator{Verifier: verifier}, "Bearer " + key, "", "", fault.Unauthenticated, "API keys are not accepted here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := tt.a.Authenticate(t.Context(), tt.authorization, tt.apiKey)
			if tt.code == "" {
				if err != nil || p.Kind != tt.kind {
					t.Errorf("principal %+v, error %v", p, err)
				}
				return
			}
			if p != nil {
				t.Errorf("let in as %+v", p)
			}
			wantFault(t, err, tt.code, tt.detail)
			wantNoEcho(t, err, token)
			wantNoEcho(t, err, key)
		})
	}
}
