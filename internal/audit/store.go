package audit

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

type store struct {
	db *postgres.DB
}

// commit puts entries at the ends of their tenants' chains, all or none, in one round trip.
func (s store) commit(ctx context.Context, order []uuid.UUID, byTenant map[uuid.UUID][]addition) error {
	on := func(ctx context.Context, tenant uuid.UUID) context.Context {
		return scope.With(ctx, scope.Scope{Tenant: tenant, Actor: "system"})
	}
	if len(order) == 1 { // a transaction by itself
		return s.db.Batch(on(ctx, order[0]), appendStatement(order[0], byTenant[order[0]]))
	}
	return s.db.Tx(ctx, func(ctx context.Context) error {
		for _, tenant := range order {
			if err := s.db.Finally(on(ctx, tenant), appendStatement(tenant, byTenant[tenant])); err != nil {
				return err
			}
		}
		return nil
	})
}

// appendStatement puts entries at the end of a tenant's chain, in order. Position and hashes are the
// database's (lari.audit_append), and so is the decision that a key is known.
func appendStatement(tenant uuid.UUID, batch []addition) postgres.Statement {
	n := len(batch)
	ids, ats := make([]uuid.UUID, n), make([]time.Time, n)
	texts := make([][]string, 9)
	for i := range texts {
		texts[i] = make([]string, n)
	}
	for i, a := range batch {
		e := a.entry
		ids[i], ats[i] = a.id, e.At.Time
		for column, text := range [...]string{
			e.Actor, e.Action, e.ResourceType, e.ResourceID, e.Outcome, e.RequestID, e.ClientIP, e.Key, string(e.Data),
		} {
			texts[column][i] = text
		}
	}
	args := []any{tenant, ids, ats}
	for _, column := range texts {
		args = append(args, column)
	}
	return postgres.Statement{SQL: appendSQL, Args: args}
}

const appendSQL = `
	insert into audit_logs (id, tenant_id, at, actor, action, resource_type, resource_id, outcome, request_id, client_ip, dedup_key, data)
	select i.id, $1, i.at, i.actor, i.action, i.resource_type, i.resource_id, i.outcome, i.request_id, i.client_ip, i.key, i.data::json
	from unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
			$11::text[], $12::text[]) with ordinality
		as i (id, at, actor, action, resource_type, resource_id, outcome, request_id, client_ip, key, data, ord)
	order by i.ord`
