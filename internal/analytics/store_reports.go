package analytics

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/storable"
)

const reportSelect = `select id, name, kind, query, created_by, created_at, updated_at from analytics_reports
	where tenant_id = (select lari.tenant_id())`

func scanReport(row pgx.CollectableRow) (Report, error) {
	var r Report
	var query []byte
	if err := row.Scan(&r.ID, &r.Name, &r.Kind, &query, &r.CreatedBy, &r.CreatedAt, &r.UpdatedAt); err != nil {
		return Report{}, err
	}
	if err := json.Unmarshal(query, &r.Query); err != nil {
		return Report{}, fmt.Errorf("query of report %s: %w", r.ID, err)
	}
	return r, nil
}

func reportFound(found bool, err error) error {
	if err == nil && !found {
		err = fault.New(fault.NotFound, "There is no such report.")
	}
	return err
}

func nameTaken(err error) error {
	if postgres.UniqueViolation(err) == "analytics_reports_name" {
		return fault.New(fault.Conflict, "The tenant has a report of that name.")
	}
	return err
}

// insertReport adds a report, unless one of that id exists; others is the number of those beside it. The lock on
// the tenant makes the count hold until the transaction ends.
func (s store) insertReport(ctx context.Context, tenant uuid.UUID, r Report) (created bool, others int, err error) {
	query, err := storable.Marshal(r.Query)
	if err != nil {
		return false, 0, fmt.Errorf("encode the query: %w", err)
	}
	err = s.db.Batch(ctx,
		postgres.Statement{SQL: `select from tenants where id = $1 for no key update`, Args: []any{tenant}},
		postgres.Statement{
			SQL:  `select count(*) from analytics_reports where tenant_id = $1 and id <> $2`,
			Args: []any{tenant, r.ID}, Read: postgres.Row(&others, nil, pgx.RowTo[int]),
		},
		postgres.Statement{
			SQL: `insert into analytics_reports (id, tenant_id, name, kind, query, created_by, created_at, updated_at)
				values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict (id) do nothing returning true`,
			Args: []any{r.ID, tenant, r.Name, string(r.Kind), query, r.CreatedBy, r.CreatedAt},
			Read: postgres.Row(&created, nil, pgx.RowTo[bool]),
		})
	return created, others, nameTaken(err)
}

func (s store) findReport(ctx context.Context, id uuid.UUID) (Report, error) {
	r, found, err := postgres.One(ctx, s.db, reportSelect+` and id = $1`, []any{id}, scanReport)
	return r, reportFound(found, err)
}

func (s store) listReports(ctx context.Context, before uuid.UUID, limit int) ([]Report, error) {
	return postgres.All(ctx, s.db, reportSelect+` and id < $1 order by id desc limit $2`, []any{before, limit}, scanReport)
}

// lockReport holds a report until the transaction ends.
func (s store) lockReport(ctx context.Context, id uuid.UUID) (Report, error) {
	r, found, err := postgres.One(ctx, s.db, reportSelect+` and id = $1 for no key update`, []any{id}, scanReport)
	return r, reportFound(found, err)
}

func (s store) updateReport(ctx context.Context, r Report) error {
	query, err := storable.Marshal(r.Query)
	if err != nil {
		return fmt.Errorf("encode the query: %w", err)
	}
	_, err = s.db.Exec(ctx, `update analytics_reports set name = $2, query = $3, updated_at = $4 where id = $1`, r.ID, r.Name, query, r.UpdatedAt)
	return nameTaken(err)
}

func (s store) deleteReport(ctx context.Context, id uuid.UUID) error {
	n, err := s.db.Exec(ctx, `delete from analytics_reports where tenant_id = (select lari.tenant_id()) and id = $1`, id)
	return reportFound(n == 1, err)
}
