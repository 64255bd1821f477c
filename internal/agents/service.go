package agents

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Service is what can be done with agents, for the tenant of the context.
type Service struct {
	db    *postgres.DB
	store store
	tools ToolNames
	// InUse returns fault.Conflict when something names the agent that would be worse off without it. It is set
	// before the service is used; nil: nothing does.
	InUse    func(ctx context.Context, a Agent) error
	versions *lru.Cache[versionKey, Version]

	// Models says whether a model can answer here; nil: every name is taken. It is set before the service is used.
	Models Models
}

// versionKey holds the tenant, so that a cached version is found by its own tenant only.
type versionKey struct {
	tenant  uuid.UUID
	agent   uuid.UUID
	version int
}

// cachedVersions bounds the cache; versions never change, so entries never grow stale.
const cachedVersions = 4096

// NewService makes the service.
func NewService(db *postgres.DB, tools ToolNames) (*Service, error) {
	versions, err := lru.New[versionKey, Version](cachedVersions)
	if err != nil {
		return nil, fmt.Errorf("make the cache of agent versions: %w", err)
	}
	return &Service{db: db, store: store{db}, tools: tools, versions: versions}, nil
}

func now() clock.Time { return clock.Now() }

// FindAgent gives an agent by its id or slug; fault.NotFound for none, or one that was deleted.
func (s *Service) FindAgent(ctx context.Context, ref string) (Agent, error) {
	if id, err := uuid.Parse(ref); err == nil {
		return s.store.byID(ctx, id)
	}
	return s.store.bySlug(ctx, ref)
}

// FindAgents lists agents, the newest first.
func (s *Service) FindAgents(ctx context.Context, p page.Request) (page.Page[Agent], error) {
	limit, before, err := p.StartBefore()
	if err != nil {
		return page.Page[Agent]{}, err
	}
	found, err := s.store.list(ctx, before, limit+1)
	return page.Of(found, limit, func(a Agent) string { return a.ID.String() }), err
}

// CreateAgent makes an agent; a slug that is taken gives fault.Conflict. A NewAgent whose id is known
// gives the agent that exists.
func (s *Service) CreateAgent(ctx context.Context, n NewAgent) (Agent, error) {
	caller := scope.From(ctx)
	a, err := n.build(caller.Tenant, s.tools, now())
	if err != nil {
		return Agent{}, err
	}
	if err := s.checkModel(ctx, a.Config); err != nil {
		return Agent{}, err
	}
	err = s.db.Tx(ctx, func(ctx context.Context) error {
		created, err := s.store.insert(ctx, a)
		if err != nil {
			return err
		}
		if !created {
			a, err = s.store.byID(ctx, a.ID)
			return err
		}
		return s.store.insertVersion(ctx, a.version(caller.Actor))
	})
	return a, err
}

func (s *Service) checkModel(ctx context.Context, c Config) error {
	if s.Models == nil {
		return nil
	}
	return s.Models.CheckModel(ctx, c.Model, "config.model")
}

func (a *Agent) version(by string) Version {
	return Version{TenantID: a.TenantID, AgentID: a.ID, Version: a.Version, Config: a.Config, CreatedBy: by, CreatedAt: a.UpdatedAt}
}

// UpdateAgent changes an agent; a changed config becomes a new version.
func (s *Service) UpdateAgent(ctx context.Context, id uuid.UUID, u Update) (a Agent, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context) error {
		if a, err = s.store.lock(ctx, id); err != nil {
			return err
		}
		newVersion, err := a.apply(u, s.tools, now())
		if err != nil {
			return err
		}
		if newVersion {
			if err := s.checkModel(ctx, a.Config); err != nil {
				return err
			}
			if err := s.store.insertVersion(ctx, a.version(scope.From(ctx).Actor)); err != nil {
				return err
			}
		}
		return s.store.update(ctx, a)
	})
	return a, err
}

// DeleteAgent takes an agent away: it is neither listed nor started any more, and its slug is free.
// Its runs and versions stay. One that is in use gives fault.Conflict, unless that is to be no matter (force).
func (s *Service) DeleteAgent(ctx context.Context, id uuid.UUID, force bool) error {
	if s.InUse != nil && !force {
		a, err := s.store.byID(ctx, id)
		if err == nil {
			err = s.InUse(ctx, a)
		}
		if err != nil {
			return err
		}
	}
	archived, err := s.store.archive(ctx, id, now())
	if err == nil && !archived {
		err = missing(id.String())
	}
	return err
}

// FindVersion gives one version of an agent, also of a deleted one.
func (s *Service) FindVersion(ctx context.Context, agent uuid.UUID, version int) (Version, error) {
	if version < 1 || version > math.MaxInt32 { // the column holds no other
		return Version{}, fault.New(fault.NotFound, "The agent has no version %d.", version)
	}
	key := versionKey{scope.Tenant(ctx), agent, version}
	if v, ok := s.versions.Get(key); ok {
		return v, nil
	}
	v, err := s.store.version(ctx, agent, version)
	if err == nil {
		key.tenant = v.TenantID // not the caller's, who may be looking across tenants
		s.versions.Add(key, v)
	}
	return v, err
}

// FindVersions lists an agent's versions, the newest first.
func (s *Service) FindVersions(ctx context.Context, agent uuid.UUID, p page.Request) (page.Page[Version], error) {
	limit, before, err := p.StartNumber()
	if err != nil {
		return page.Page[Version]{}, err
	}
	if before == 0 {
		before = math.MaxInt32
	}
	if _, err := s.store.byID(ctx, agent); err != nil {
		return page.Page[Version]{}, err
	}
	found, err := s.store.listVersions(ctx, agent, before, limit+1)
	return page.Of(found, limit, func(v Version) string { return strconv.Itoa(v.Version) }), err
}

func missing(ref string) error { return fault.New(fault.NotFound, "There is no agent %s.", ref) }
