package tenants

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// grant is the authority in a tenant that a caller hands on, to a key or to a member.
type grant struct {
	role   auth.Role
	scopes []auth.Permission // nil: all that the role grants
	end    *clock.Time       // nil: it has none
}

// check reports as Forbidden a grant of more than the caller holds in the tenant: a higher role, a permission
// outside the caller's scopes, or a later end (see auth.Principal.GrantsUntil).
func (g grant) check(caller *auth.Principal, tenant uuid.UUID) error {
	own, _ := caller.Role(tenant)
	if !own.AtLeast(g.role) {
		return fault.New(fault.Forbidden, "You are %s: you cannot make a key or a member %s.", own, g.role)
	}
	scopes := g.scopes
	if scopes == nil {
		scopes = g.role.Permissions()
	}
	for _, p := range scopes {
		if !caller.Can(tenant, p) {
			return fault.New(fault.Forbidden, "You lack the permission %s, so you cannot give it to a key or a member. A key can be narrowed to scopes.", p)
		}
	}
	limit := caller.GrantsUntil()
	if !limit.IsZero() && (g.end == nil || g.end.After(clock.At(limit))) {
		return fault.New(fault.Forbidden, "Your key ends at %s: what it grants cannot last longer, and a member has no end.",
			limit.UTC().Format(time.RFC3339))
	}
	return nil
}

// extends reports whether the grant holds more than another one, which is what it was before.
func (g grant) extends(before grant) bool {
	if !before.role.AtLeast(g.role) || before.end != nil && (g.end == nil || g.end.After(*before.end)) {
		return true
	}
	if before.scopes == nil {
		return false
	}
	return g.scopes == nil || slices.ContainsFunc(g.scopes, func(p auth.Permission) bool { return !slices.Contains(before.scopes, p) })
}
