package auth

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// MintConfig says whom a token speaks for.
type MintConfig struct {
	Tenant   uuid.UUID     // the default tenant; only a service token may do without
	Role     Role          // the role in the tenant, or RoleService
	Subject  string        // sub; "" for a service token: "service_role"
	Issuer   string        // iss; "": none
	Audience string        // aud; "": DefaultAudience
	TTL      time.Duration // 1 s or more; tokens count in whole seconds
}

// Mint signs a token with the HS256 secret, as Supabase Auth would for that user: for development and
// operators' terminals, where the secret is at hand. A config that no Verifier would accept is Invalid.
func Mint(secret []byte, c MintConfig) (string, error) {
	if err := c.check(secret); err != nil {
		return "", err
	}
	now := time.Now()
	if c.Audience == "" {
		c.Audience = DefaultAudience
	}
	body := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject:   c.Subject,
			Issuer:    c.Issuer,
			Audience:  jwt.ClaimStrings{c.Audience},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(c.TTL)),
		},
		Role:        roleClaimUser,
		AppMetadata: appMetadata{Role: c.Role},
	}
	if c.Role == RoleService {
		body.Role, body.AppMetadata.Role = roleClaimService, ""
		if body.Subject == "" {
			body.Subject = roleClaimService
		}
	}
	if c.Tenant != uuid.Nil {
		body.AppMetadata.TenantID = c.Tenant.String()
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, body).SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("sign the token: %w", err)
	}
	return token, nil
}

func (c MintConfig) check(secret []byte) error {
	switch service := c.Role == RoleService; {
	case len(secret) < MinSecretBytes:
		return fault.InvalidField("secret", "min", "must be at least %d bytes", MinSecretBytes)
	case c.Role.rank() == 0:
		return fault.InvalidField("role", "oneof", "must be one of %v", Roles())
	case c.Tenant == uuid.Nil && !service:
		return fault.InvalidField("tenant", "required", "is needed for every role but %s", RoleService)
	case !validSubject(c.Subject) && (!service || c.Subject != ""):
		return fault.InvalidField("subject", "required", "must be 1 to 255 printable characters without spaces")
	case c.TTL < time.Second:
		return fault.InvalidField("ttl", "min", "must be at least 1s")
	}
	return nil
}
