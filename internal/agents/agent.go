// Package agents keeps agents: named, versioned configurations of a model, its instructions, its tools
// and its limits.
package agents

import (
	"reflect"
	"regexp"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Agent is the latest version of an agent.
type Agent struct {
	ID          uuid.UUID   `json:"id" required:"true"`
	TenantID    uuid.UUID   `json:"tenant_id" required:"true"`
	Slug        string      `json:"slug" required:"true" example:"assistant"`
	Name        string      `json:"name" required:"true"`
	Description string      `json:"description" required:"true"`
	Version     int         `json:"version" required:"true" description:"Rises with every change of config."`
	Config      Config      `json:"config" required:"true"`
	CreatedAt   clock.Time  `json:"created_at" required:"true"`
	UpdatedAt   clock.Time  `json:"updated_at" required:"true"`
	ArchivedAt  *clock.Time `json:"-"`
}

// Location is where the agent is found.
func (a Agent) Location() string { return "/v1/agents/" + a.ID.String() }

// Version is one configuration that an agent had.
type Version struct {
	TenantID  uuid.UUID  `json:"-"`
	AgentID   uuid.UUID  `json:"agent_id" required:"true"`
	Version   int        `json:"version" required:"true"`
	Config    Config     `json:"config" required:"true"`
	CreatedBy string     `json:"created_by" required:"true"`
	CreatedAt clock.Time `json:"created_at" required:"true"`
}

// NewAgent is a request to make an agent.
type NewAgent struct {
	ID          uuid.UUID `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	Slug        string    `json:"slug" validate:"required,max=63" example:"support" description:"Short name, unique in the tenant: a-z, 0-9 and hyphens."`
	Name        string    `json:"name" validate:"required,max=200" example:"Support"`
	Description string    `json:"description,omitempty" validate:"max=2000"`
	Config      Config    `json:"config,omitempty"`
}

// Update is a change of an agent; what is absent stays. A config replaces the whole config and makes a
// new version.
type Update struct {
	Name            *string `json:"name,omitempty" validate:"omitempty,min=1,max=200"`
	Description     *string `json:"description,omitempty" validate:"omitempty,max=2000"`
	Config          *Config `json:"config,omitempty"`
	ExpectedVersion *int    `json:"expected_version,omitempty" validate:"omitempty,min=1" description:"The change is refused with 409 when the agent has another version."`
}

var goodSlug = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (n NewAgent) build(tenant uuid.UUID, known ToolNames, at clock.Time) (Agent, error) {
	if !goodSlug.MatchString(n.Slug) {
		return Agent{}, fault.InvalidField("slug", "slug", "must be of a-z, 0-9 and hyphens, and not begin with a hyphen")
	}
	if _, err := uuid.Parse(n.Slug); err == nil {
		return Agent{}, fault.InvalidField("slug", "slug", "must not look like an id")
	}
	config, err := n.Config.normalise(known)
	if err != nil {
		return Agent{}, err
	}
	id := n.ID
	if id == uuid.Nil {
		id = uuid.Must(uuid.NewV7())
	}
	return Agent{
		ID: id, TenantID: tenant, Slug: n.Slug, Name: n.Name, Description: n.Description, Version: 1, Config: config, CreatedAt: at, UpdatedAt: at,
	}, nil
}

// apply changes the agent; newVersion says that its config changed.
func (a *Agent) apply(u Update, known ToolNames, at clock.Time) (newVersion bool, err error) {
	if u.ExpectedVersion != nil && *u.ExpectedVersion != a.Version {
		return false, fault.New(fault.Conflict, "The agent has version %d, not %d.", a.Version, *u.ExpectedVersion)
	}
	if u.Name != nil {
		a.Name = *u.Name
	}
	if u.Description != nil {
		a.Description = *u.Description
	}
	a.UpdatedAt = at
	if u.Config == nil {
		return false, nil
	}
	config, err := u.Config.normalise(known)
	if err != nil || reflect.DeepEqual(config, a.Config) {
		return false, err
	}
	a.Config = config
	a.Version++
	return true, nil
}
