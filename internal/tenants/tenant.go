package tenants

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Status is what a tenant may do.
type Status string

// The states of a tenant.
const (
	Active    Status = "active"
	Suspended Status = "suspended" // what runs finishes, nothing new begins; all can be read
	Deleting  Status = "deleting"  // it will be erased; its keys and schedules do nothing any more
)

// Tenant is a customer.
type Tenant struct {
	ID           uuid.UUID  `json:"id" description:"Id of the tenant."`
	Slug         string     `json:"slug" description:"Short name, unique on the platform. It never changes." example:"acme"`
	Name         string     `json:"name" description:"What people call it." example:"Acme Ltd"`
	Status       Status     `json:"status" enum:"active,suspended,deleting" description:"A suspended tenant begins no new runs; one that is being deleted will be gone."`
	StatusReason string     `json:"status_reason" description:"Why it has the status; empty for an active one."`
	StatusAt     clock.Time `json:"status_at" description:"Since when it has the status."`
	CreatedAt    clock.Time `json:"created_at" description:"When it was made."`
	UpdatedAt    clock.Time `json:"updated_at" description:"When it was changed last."`
}

// Location is where the tenant is found.
func (t Tenant) Location() string { return "/v1/tenants/" + t.ID.String() }

// NewTenant asks for a tenant.
type NewTenant struct {
	ID   uuid.UUID `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	Slug string    `json:"slug" validate:"required,max=63" description:"a-z, 0-9 and hyphens, not beginning with a hyphen. It never changes." example:"acme"`
	Name string    `json:"name,omitempty" validate:"max=200" description:"Absent: the slug." example:"Acme Ltd"`
}

// Update is a change of a tenant; what is absent stays.
type Update struct {
	Name *string `json:"name,omitempty" validate:"omitempty,min=1,max=200" description:"What people call it." example:"Acme Ltd"`
}

// Workspace is a part of a tenant.
type Workspace struct {
	ID        uuid.UUID  `json:"id" description:"Id of the workspace."`
	TenantID  uuid.UUID  `json:"tenant_id" description:"Tenant that it belongs to."`
	Slug      string     `json:"slug" description:"Short name, unique in the tenant."`
	Name      string     `json:"name" description:"What people call it."`
	CreatedAt clock.Time `json:"created_at" description:"When it was made."`
}

// Location is where the workspace is found.
func (w Workspace) Location() string {
	return "/v1/tenants/" + w.TenantID.String() + "/workspaces/" + w.ID.String()
}

// NewWorkspace asks for a workspace.
type NewWorkspace struct {
	ID   uuid.UUID `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	Slug string    `json:"slug" validate:"required,max=63" description:"a-z, 0-9 and hyphens, not beginning with a hyphen. It never changes." example:"support"`
	Name string    `json:"name,omitempty" validate:"max=200" description:"Absent: the slug." example:"Support"`
}

// DefaultWorkspace is the slug of the workspace that every tenant begins with.
const DefaultWorkspace = "default"

const maxName = 200 // characters

var goodSlug = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (n NewTenant) build(at clock.Time) (Tenant, error) {
	name, err := named(n.Slug, n.Name)
	if err != nil {
		return Tenant{}, err
	}
	return Tenant{ID: orNewID(n.ID), Slug: n.Slug, Name: name, Status: Active, StatusAt: at, CreatedAt: at, UpdatedAt: at}, nil
}

func (n NewWorkspace) build(tenant uuid.UUID, at clock.Time) (Workspace, error) {
	name, err := named(n.Slug, n.Name)
	return Workspace{ID: orNewID(n.ID), TenantID: tenant, Slug: n.Slug, Name: name, CreatedAt: at}, err
}

// named checks a slug and gives the name beside it, which is the slug when there is none.
func named(slug, name string) (string, error) {
	if !goodSlug.MatchString(slug) {
		return "", fault.InvalidField("slug", "slug", "must be of a-z, 0-9 and hyphens, and not begin with a hyphen")
	}
	if _, err := uuid.Parse(slug); err == nil {
		return "", fault.InvalidField("slug", "slug", "must not look like an id")
	}
	if name = strings.TrimSpace(name); name == "" {
		return slug, nil
	}
	return goodName(name)
}

// goodName trims a name and checks that something is left, and not too much.
func goodName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", fault.InvalidField("name", "required", "is required")
	case utf8.RuneCountInString(name) > maxName:
		return "", fault.InvalidField("name", "max", "must be at most %d characters", maxName)
	}
	return name, nil
}

func orNewID(id uuid.UUID) uuid.UUID {
	if id == uuid.Nil {
		return newID()
	}
	return id
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

func now() clock.Time { return clock.Now() }
