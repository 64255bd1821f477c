package auth

import (
	"fmt"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/strictjson"
)

// The values of the role claim that are let in. Supabase's third, "anon", is the absence of a caller.
const (
	roleClaimUser    = "authenticated"
	roleClaimService = "service_role"
)

// claims are the parts of a Supabase Auth token that say who is calling. Only app_metadata is read:
// user_metadata can be written by the user.
type claims struct {
	jwt.RegisteredClaims
	Role        string      `json:"role"`
	AppMetadata appMetadata `json:"app_metadata"`
}

// UnmarshalJSON reads claims by their exact names (RFC 7519 §4: names are case-sensitive, and a token in which
// one occurs twice may be rejected). Otherwise "EXP" or "Role" would replace what the issuer said in exp or role.
func (c *claims) UnmarshalJSON(text []byte) error {
	type plain claims // without this method
	if err := strictjson.Unmarshal(text, (*plain)(c)); err != nil {
		return fmt.Errorf("claims: %w", err)
	}
	return nil
}

type appMetadata struct {
	TenantID string          `json:"tenant_id,omitempty"`
	Role     Role            `json:"role,omitempty"`
	Tenants  map[string]Role `json:"tenants,omitempty"`
}

// principal turns verified claims into a caller. What is not understood is refused, never skipped: a
// skipped claim is a permission somebody believes to have taken away.
func (c *claims) principal() (*Principal, error) {
	p := &Principal{Subject: c.Subject, Kind: KindUser, ExpiresAt: c.ExpiresAt.Time}
	switch c.Role {
	case roleClaimUser:
	case roleClaimService:
		return c.service(p)
	case "anon":
		return nil, refuse("role anon is not accepted: sign in")
	case "":
		return nil, refuse("the token has no role")
	default:
		return nil, refuse("the token's role is not accepted")
	}
	if !validSubject(p.Subject) {
		return nil, refuse("the token has no usable subject (sub)")
	}
	if err := c.AppMetadata.memberships(p); err != nil {
		return nil, err
	}
	return p, nil
}

func (c *claims) service(p *Principal) (*Principal, error) {
	p.Kind, p.Service = KindService, true
	if p.Subject == "" {
		p.Subject = roleClaimService // Supabase's service tokens carry no sub
	}
	if !validSubject(p.Subject) {
		return nil, refuse("the token has no usable subject (sub)")
	}
	if id := c.AppMetadata.TenantID; id != "" {
		tenant, ok := parseUUID(id)
		if !ok {
			return nil, refuse("app_metadata.tenant_id is not a UUID")
		}
		p.DefaultTenant = tenant
	}
	return p, nil
}

// memberships fills in tenants and default tenant. A user who belongs to none is authenticated all the
// same: ResolveTenant then says so.
func (m *appMetadata) memberships(p *Principal) error {
	if m.Role != "" && !m.Role.OfTenant() {
		return refuse("app_metadata.role is not a tenant role")
	}
	p.Tenants = make(map[uuid.UUID]Role, len(m.Tenants)+1)
	for id, role := range m.Tenants {
		tenant, ok := parseUUID(id)
		if !ok {
			return refuse("app_metadata.tenants names a tenant that is not a UUID")
		}
		if !role.OfTenant() {
			return refuse("app_metadata.tenants holds a role that is not a tenant role")
		}
		if _, twice := p.Tenants[tenant]; twice { // the same UUID in two spellings
			return refuse("app_metadata.tenants names a tenant twice")
		}
		p.Tenants[tenant] = role
		p.DefaultTenant = tenant
	}
	if len(p.Tenants) > 1 {
		p.DefaultTenant = uuid.Nil
	}
	if m.TenantID == "" {
		return nil
	}
	tenant, ok := parseUUID(m.TenantID)
	if !ok {
		return refuse("app_metadata.tenant_id is not a UUID")
	}
	listed, isListed := p.Tenants[tenant]
	switch {
	case m.Role == "" && !isListed:
		return refuse("app_metadata.tenant_id comes without app_metadata.role")
	case m.Role != "" && isListed && m.Role != listed:
		return refuse("app_metadata gives two roles in one tenant")
	case !isListed:
		p.Tenants[tenant] = m.Role
	}
	p.DefaultTenant = tenant
	return nil
}

// validSubject keeps what ends up in logs and audit rows short and printable.
func validSubject(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
