package tenants

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Key is an API key as its tenant sees it. The secret is shown once, when the key is made.
type Key struct {
	ID        uuid.UUID         `json:"id" description:"Id of the key."`
	TenantID  uuid.UUID         `json:"tenant_id" description:"Tenant that it acts for."`
	Name      string            `json:"name" description:"What it is for."`
	Prefix    string            `json:"prefix" description:"The public part of the key, to tell keys apart."`
	Role      auth.Role         `json:"role" enum:"viewer,operator,admin,owner" description:"Role of the caller that uses it."`
	Scopes    []auth.Permission `json:"scopes" nullable:"true" description:"Permissions that it is narrowed to; null: all of its role."`
	CreatedBy string            `json:"created_by" description:"Who made it."`
	CreatedAt clock.Time        `json:"created_at" description:"When it was made."`
	ExpiresAt *clock.Time       `json:"expires_at" description:"When it stops working; null: never."`
	RevokedAt *clock.Time       `json:"revoked_at" description:"When it was revoked; null: it was not."`
	// LastUsedAt is written a few seconds after the use, and at most once a minute.
	LastUsedAt *clock.Time `json:"last_used_at" description:"When it was used last, to the minute; null: never."`
}

// Location is where the key is found.
func (k Key) Location() string {
	return "/v1/tenants/" + k.TenantID.String() + "/api-keys/" + k.ID.String()
}

// NewKey asks for an API key.
type NewKey struct {
	ID        uuid.UUID         `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	Name      string            `json:"name" validate:"required,max=200" description:"What it is for." example:"nightly report"`
	Role      auth.Role         `json:"role" validate:"required,oneof=viewer operator admin owner" enum:"viewer,operator,admin,owner" description:"Role of the caller that uses it."`
	Scopes    []auth.Permission `json:"scopes,omitempty" validate:"max=50" description:"Permissions to narrow it to; absent: all of its role." example:"[\"run:create\"]"`
	ExpiresAt *time.Time        `json:"expires_at,omitempty" description:"When it stops working; absent: never."`
}

// KeyUpdate is a change of a key; what is absent stays.
type KeyUpdate struct {
	Name         *string    `json:"name,omitempty" validate:"omitempty,min=1,max=200" description:"What it is for."`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" description:"When it stops working."`
	NeverExpires bool       `json:"never_expires,omitempty" description:"Takes its end away; not together with expires_at."`
}

func (u KeyUpdate) check(at clock.Time) error {
	switch {
	case u.NeverExpires && u.ExpiresAt != nil:
		return fault.InvalidField("never_expires", "excluded_with", "must not be given together with expires_at")
	case u.ExpiresAt != nil && !clock.At(*u.ExpiresAt).After(at):
		return fault.InvalidField("expires_at", "gt", "must lie in the future")
	}
	return nil
}

func (n NewKey) check(at clock.Time) error {
	if _, err := goodName(n.Name); err != nil {
		return err
	}
	switch {
	case !n.Role.OfTenant():
		return fault.InvalidField("role", "oneof", "must be one of viewer, operator, admin, owner")
	case n.Scopes != nil && len(n.Scopes) == 0:
		return fault.InvalidField("scopes", "min", "must name a permission, or be left out for all of the role")
	case n.ExpiresAt != nil && !clock.At(*n.ExpiresAt).After(at):
		return fault.InvalidField("expires_at", "gt", "must lie in the future")
	}
	for i, scope := range n.Scopes {
		switch {
		case !scope.Known():
			return fault.InvalidField("scopes", "known", "%q is not a permission", scope)
		case !n.Role.Can(scope):
			return fault.InvalidField("scopes", "granted", "%s is not granted by the role %s", scope, n.Role)
		case slices.Contains(n.Scopes[:i], scope):
			return fault.InvalidField("scopes", "unique", "%s is named twice", scope)
		}
	}
	return nil
}

// build makes the key and its plain text, which is kept nowhere.
func (n NewKey) build(tenant uuid.UUID, by string, at clock.Time) (k Key, hash []byte, plain string, err error) {
	if err := n.check(at); err != nil {
		return Key{}, nil, "", err
	}
	plain, prefix, hash, err := auth.NewKey()
	if err != nil {
		return Key{}, nil, "", err
	}
	k = Key{
		ID: orNewID(n.ID), TenantID: tenant, Name: strings.TrimSpace(n.Name), Prefix: prefix, Role: n.Role,
		Scopes: slices.Clone(n.Scopes), CreatedBy: by, CreatedAt: at,
	}
	k.ExpiresAt = clock.Ref(n.ExpiresAt)
	return k, hash, plain, nil
}
