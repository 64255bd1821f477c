package authtest

import (
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// UserClaims are the claims Supabase Auth gives a signed-in user for an hour: role authenticated and
// the app_metadata added to Supabase's own two fields.
func UserClaims(issuer, subject string, appMetadata map[string]any) jwt.MapClaims {
	now := time.Now()
	metadata := map[string]any{"provider": "email", "providers": []string{"email"}}
	for name, value := range appMetadata {
		metadata[name] = value
	}
	return jwt.MapClaims{
		"iss":           issuer,
		"sub":           subject,
		"aud":           "authenticated",
		"exp":           now.Add(time.Hour).Unix(),
		"iat":           now.Unix(),
		"email":         "ada@example.com",
		"phone":         "",
		"app_metadata":  metadata,
		"user_metadata": map[string]any{"email_verified": true},
		"role":          "authenticated",
		"aal":           "aal1",
		"amr":           []map[string]any{{"method": "password", "timestamp": now.Unix()}},
		"session_id":    "3f0e4a5c-2f5b-4a51-9d5e-0d2c2b8e7a11",
		"is_anonymous":  false,
	}
}

// ServiceClaims are those of a service_role token with the audience that every token carries here.
func ServiceClaims(issuer string) jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{
		"iss": issuer, "aud": "authenticated", "role": "service_role",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}
