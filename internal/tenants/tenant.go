// Package tenants keeps the customers: tenants, their workspaces and their API keys.
package tenants

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Tenant is a customer.
type Tenant struct {
	ID        uuid.UUID  `json:"id" description:"Id of the tenant."`
	Slug      string     `json:"slug" description:"Short name, unique on the platform."`
	Name      string     `json:"name" description:"What people call it."`
	CreatedAt clock.Time `json:"created_at" description:"When it was made."`
}

// NewTenant asks for a tenant.
type NewTenant struct {
	Slug string `json:"slug" validate:"required,max=63" description:"a-z, 0-9 and hyphens, not beginning with a hyphen." example:"acme"`
	Name string `json:"name,omitempty" validate:"max=200" description:"Absent: the slug."`
}

// Workspace is a part of a tenant.
type Workspace struct {
	ID        uuid.UUID  `json:"id" description:"Id of the workspace."`
	TenantID  uuid.UUID  `json:"tenant_id" description:"Tenant that it belongs to."`
	Slug      string     `json:"slug" description:"Short name, unique in the tenant."`
	Name      string     `json:"name" description:"What people call it."`
	CreatedAt clock.Time `json:"created_at" description:"When it was made."`
}

// DefaultWorkspace is the slug of the workspace that every tenant begins with.
const DefaultWorkspace = "default"

const maxName = 200 // characters

var goodSlug = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (n NewTenant) build(at clock.Time) (Tenant, error) {
	if !goodSlug.MatchString(n.Slug) {
		return Tenant{}, fault.InvalidField("slug", "slug", "must be of a-z, 0-9 and hyphens, and not begin with a hyphen")
	}
	if _, err := uuid.Parse(n.Slug); err == nil {
		return Tenant{}, fault.InvalidField("slug", "slug", "must not look like an id")
	}
	name := strings.TrimSpace(n.Name)
	if name == "" {
		name = n.Slug
	}
	if utf8.RuneCountInString(name) > maxName {
		return Tenant{}, fault.InvalidField("name", "max", "must be at most %d characters", maxName)
	}
	return Tenant{ID: newID(), Slug: n.Slug, Name: name, CreatedAt: at}, nil
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

func now() clock.Time { return clock.Now() }
