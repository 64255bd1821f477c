package auth

import (
	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// TenantHeader names the tenant a request acts in.
const TenantHeader = "x-tenant-id"

// ResolveTenant decides which tenant a request acts in: the one its x-tenant-id names, or the caller's
// default when the header is absent. A header sent twice must be handed over joined by a comma, as
// HTTP does it (RFC 9110 §5.3); it is then malformed like anything else that is not one UUID.
//
// Errors: Malformed (not a UUID, or no header where the caller has no default), Forbidden (not a
// member, or a member of no tenant), Unauthenticated (nil principal). The service role is admitted to
// any UUID: whether such a tenant exists is for the database to say.
func ResolveTenant(header string, present bool, p *Principal) (uuid.UUID, error) {
	if p == nil {
		return uuid.Nil, refuse("no credential")
	}
	if !present {
		return defaultTenant(p)
	}
	tenant, ok := parseUUID(header)
	if !ok {
		return uuid.Nil, fault.New(fault.Malformed, "%s is not one UUID like 0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f", TenantHeader)
	}
	if _, member := p.Role(tenant); !member {
		return uuid.Nil, fault.New(fault.Forbidden, "you are not a member of the tenant in %s", TenantHeader)
	}
	return tenant, nil
}

// ResolveNamedTenant is ResolveTenant for requests whose path names the tenant. To the caller a tenant that
// it does not belong to, or that another x-tenant-id speaks of, does not exist.
//
// Errors: those of ResolveTenant for a header that is there; Malformed for a path that is no UUID, NotFound
// for one that is not the caller's.
func ResolveNamedTenant(path, header string, present bool, p *Principal) (uuid.UUID, error) {
	tenant, ok := parseUUID(path)
	if present || p == nil {
		if acting, err := ResolveTenant(header, present, p); err != nil {
			return uuid.Nil, err
		} else if ok && acting != tenant {
			return uuid.Nil, errNoTenant(tenant)
		}
	}
	if !ok {
		const message = "must be a UUID like 0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f"
		f := fault.InvalidField("tenant_id", "format", message)
		f.Code = fault.Malformed
		return uuid.Nil, f
	}
	if _, member := p.Role(tenant); !member {
		return uuid.Nil, errNoTenant(tenant)
	}
	return tenant, nil
}

func errNoTenant(id uuid.UUID) error { return fault.New(fault.NotFound, "There is no tenant %s.", id) }

func defaultTenant(p *Principal) (uuid.UUID, error) {
	if p.DefaultTenant != uuid.Nil {
		if _, member := p.Role(p.DefaultTenant); !member {
			return uuid.Nil, fault.New(fault.Forbidden, "you are not a member of your default tenant")
		}
		return p.DefaultTenant, nil
	}
	switch {
	case p.Service:
		return uuid.Nil, fault.New(fault.Malformed, "a service token acts for every tenant: say which tenant with %s", TenantHeader)
	case len(p.Tenants) == 0:
		return uuid.Nil, fault.New(fault.Forbidden, "you belong to no tenant")
	}
	return uuid.Nil, fault.New(fault.Malformed, "you belong to several tenants: say which tenant with %s", TenantHeader)
}

// parseUUID takes the 36-character form of RFC 9562 §4 in either case, and neither the nil UUID (which
// means "no tenant" inside the house) nor the urn:, {…} and dashless spellings uuid.Parse also takes:
// one tenant has one name in logs, limits and caches.
func parseUUID(s string) (uuid.UUID, bool) {
	if len(s) != 36 {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil && id != uuid.Nil
}
