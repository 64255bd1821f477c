package agents

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/storable"
)

type store struct {
	db *postgres.DB
}

const agentSelect = `select a.id, a.tenant_id, a.slug, a.name, a.description, a.version, v.config, a.created_at, a.updated_at, a.archived_at
	from agents a join agent_versions v on v.agent_id = a.id and v.version = a.version
	where a.tenant_id = (select lari.tenant_id()) and a.archived_at is null`

func scanAgent(row pgx.CollectableRow) (Agent, error) {
	var a Agent
	var config []byte
	if err := row.Scan(&a.ID, &a.TenantID, &a.Slug, &a.Name, &a.Description, &a.Version, &config, &a.CreatedAt, &a.UpdatedAt, &a.ArchivedAt); err != nil {
		return Agent{}, err
	}
	if err := json.Unmarshal(config, &a.Config); err != nil {
		return Agent{}, fmt.Errorf("config of agent %s: %w", a.ID, err)
	}
	return a, nil
}

func (s store) one(ctx context.Context, ref, sql string, arg any) (Agent, error) {
	a, ok, err := postgres.One(ctx, s.db, sql, []any{arg}, scanAgent)
	if err == nil && !ok {
		err = missing(ref)
	}
	return a, err
}

func (s store) byID(ctx context.Context, id uuid.UUID) (Agent, error) {
	return s.one(ctx, id.String(), agentSelect+` and a.id = $1`, id)
}

func (s store) bySlug(ctx context.Context, slug string) (Agent, error) {
	return s.one(ctx, slug, agentSelect+` and a.slug = $1`, slug)
}

// lock holds an agent until the transaction ends, and then reads it: one statement for both would join
// the row that another update has left with the version that was before it, and find nothing.
func (s store) lock(ctx context.Context, id uuid.UUID) (Agent, error) {
	if _, err := s.db.Exec(ctx, `select from agents where id = $1 for no key update`, id); err != nil {
		return Agent{}, err
	}
	return s.byID(ctx, id)
}

func (s store) list(ctx context.Context, before uuid.UUID, limit int) ([]Agent, error) {
	return postgres.All(ctx, s.db, agentSelect+` and a.id < $1 order by a.id desc limit $2`, []any{before, limit}, scanAgent)
}

// insert adds an agent; created is false when one of that id exists.
func (s store) insert(ctx context.Context, a Agent) (created bool, err error) {
	n, err := s.db.Exec(ctx, `insert into agents (id, tenant_id, slug, name, description, version, created_at, updated_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do nothing`,
		a.ID, a.TenantID, a.Slug, a.Name, a.Description, a.Version, a.CreatedAt, a.UpdatedAt)
	if postgres.UniqueViolation(err) == "agents_slug" {
		return false, fault.New(fault.Conflict, "Another agent has the slug %s.", a.Slug)
	}
	return n == 1, err
}

func (s store) update(ctx context.Context, a Agent) error {
	_, err := s.db.Exec(ctx, `update agents set name = $2, description = $3, version = $4, updated_at = $5 where id = $1`,
		a.ID, a.Name, a.Description, a.Version, a.UpdatedAt)
	return err
}

func (s store) archive(ctx context.Context, id uuid.UUID, at clock.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `update agents set archived_at = $2, updated_at = $2 where id = $1 and archived_at is null`, id, at)
	return n == 1, err
}

func (s store) insertVersion(ctx context.Context, v Version) error {
	config, err := storable.Marshal(v.Config)
	if err != nil {
		return fmt.Errorf("encode the config: %w", err)
	}
	_, err = s.db.Exec(ctx, `insert into agent_versions (tenant_id, agent_id, version, config, created_by, created_at) values ($1, $2, $3, $4, $5, $6)`,
		v.TenantID, v.AgentID, v.Version, config, v.CreatedBy, v.CreatedAt)
	return err
}

const versionSelect = `select tenant_id, agent_id, version, config, created_by, created_at from agent_versions where agent_id = $1`

func scanVersion(row pgx.CollectableRow) (Version, error) {
	var v Version
	var config []byte
	if err := row.Scan(&v.TenantID, &v.AgentID, &v.Version, &config, &v.CreatedBy, &v.CreatedAt); err != nil {
		return Version{}, err
	}
	if err := json.Unmarshal(config, &v.Config); err != nil {
		return Version{}, fmt.Errorf("config of agent %s, version %d: %w", v.AgentID, v.Version, err)
	}
	return v, nil
}

func (s store) version(ctx context.Context, agent uuid.UUID, version int) (Version, error) {
	v, ok, err := postgres.One(ctx, s.db, versionSelect+` and version = $2`, []any{agent, version}, scanVersion)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "The agent %s has no version %d.", agent, version)
	}
	return v, err
}

func (s store) listVersions(ctx context.Context, agent uuid.UUID, before, limit int) ([]Version, error) {
	return postgres.All(ctx, s.db, versionSelect+` and version < $2 order by version desc limit $3`, []any{agent, before, limit}, scanVersion)
}
