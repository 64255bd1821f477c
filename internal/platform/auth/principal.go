package auth

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Kind says what a caller proved its identity with. It is for records; decisions ask Can and Role.
type Kind string

// The kinds of callers.
const (
	KindUser    Kind = "user"    // a person's token of Supabase Auth
	KindAPIKey  Kind = "api_key" // a machine's lari_ key
	KindService Kind = "service" // a service_role token: the platform itself
)

// Principal is an authenticated caller. One value is shared by all requests that carry the same
// credential, so it is never changed after it was made.
type Principal struct {
	Subject       string             // the token's sub, or the API key's id
	Kind          Kind               // what it proved itself with
	Tenants       map[uuid.UUID]Role // the tenants it belongs to; nil for the service role
	DefaultTenant uuid.UUID          // used when a request names no tenant; uuid.Nil: none
	Service       bool               // the platform itself: every permission in every tenant
	Scopes        []Permission       // nil: all that the role grants; otherwise only these of them
	ExpiresAt     time.Time          // when the credential ends; zero: never. Long streams end with it
}

// Role gives the caller's role in a tenant, false when the caller is not a member of it. The service
// role is a member of every tenant.
func (p *Principal) Role(tenant uuid.UUID) (Role, bool) {
	switch {
	case p == nil:
		return "", false
	case p.Service:
		return RoleService, true
	case tenant == uuid.Nil:
		return "", false
	}
	role, ok := p.Tenants[tenant]
	return role, ok && role.OfTenant()
}

// Can reports whether the caller holds the permission in the tenant. Public is held by everyone, a nil
// principal included. It does not allocate.
func (p *Principal) Can(tenant uuid.UUID, permission Permission) bool {
	if permission == Public {
		return true
	}
	role, ok := p.Role(tenant)
	if !ok || !role.Can(permission) {
		return false
	}
	return p.Scopes == nil || slices.Contains(p.Scopes, permission)
}

// CanSomewhere reports whether there is a tenant in which the caller holds the permission.
func (p *Principal) CanSomewhere(permission Permission) bool {
	if p == nil {
		return false
	}
	if p.Service {
		return p.Can(uuid.Nil, permission)
	}
	for tenant := range p.Tenants {
		if p.Can(tenant, permission) {
			return true
		}
	}
	return false
}

// GrantsUntil is when what the caller hands on ends at the latest; zero: never. That is the end of its API key.
// The end of a token says nothing: what its holder has is a membership, and the next token shows it again.
func (p *Principal) GrantsUntil() time.Time {
	if p == nil || p.Kind != KindAPIKey {
		return time.Time{}
	}
	return p.ExpiresAt
}

type contextKey struct{}

// With returns a context that carries the principal.
func With(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From gives the principal of the context, nil when there is none; a nil principal can do nothing but
// what is public.
func From(ctx context.Context) *Principal {
	p, _ := ctx.Value(contextKey{}).(*Principal)
	return p
}
