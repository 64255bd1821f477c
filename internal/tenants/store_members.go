package tenants

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

const memberColumns = `user_id, email, role, created_by, created_at, updated_by, updated_at`

func scanMember(row pgx.CollectableRow) (m Member, err error) {
	err = row.Scan(&m.UserID, &m.Email, &m.Role, &m.CreatedBy, &m.CreatedAt, &m.UpdatedBy, &m.UpdatedAt)
	return m, err
}

func (s store) member(ctx context.Context, user string) (Member, error) {
	m, ok, err := postgres.One(ctx, s.db, `select `+memberColumns+` from members where tenant_id = (select lari.tenant_id()) and user_id = $1`,
		[]any{user}, scanMember)
	if err == nil && !ok {
		err = errNoMember(user)
	}
	return m, err
}

func (s store) members(ctx context.Context, role auth.Role, after string, limit int) ([]Member, error) {
	return postgres.All(ctx, s.db, `select `+memberColumns+` from members
		where tenant_id = (select lari.tenant_id()) and user_id > $1 and ($2 = '' or role = $2) order by user_id limit $3`,
		[]any{after, role, limit}, scanMember)
}

func (s store) standings(ctx context.Context, of []auth.Membership) ([]auth.Standing, error) {
	tenants, users := make([]uuid.UUID, len(of)), make([]string, len(of))
	for i, m := range of {
		tenants[i], users[i] = m.Tenant, m.User
	}
	return postgres.All(ctx, s.db, `select t.id is not null, coalesce(m.role, '')
		from unnest($1::uuid[], $2::text[]) with ordinality a (tenant, usr, n)
		left join tenants t on t.id = a.tenant left join members m on m.tenant_id = a.tenant and m.user_id = a.usr
		order by a.n`, []any{tenants, users}, func(row pgx.CollectableRow) (auth.Standing, error) {
		var st auth.Standing
		err := row.Scan(&st.TenantExists, &st.Role)
		return st, err
	})
}

// lockMember holds the tenant, so that its owners are not changed by anybody else until the transaction ends,
// and gives the user's role ("": it is no member) and the number of owners.
func (s store) lockMember(ctx context.Context, tenant uuid.UUID, user string) (role auth.Role, owners int, err error) {
	var found bool
	err = s.db.Batch(ctx,
		postgres.Statement{
			SQL: `select true from tenants where id = $1 for no key update`, Args: []any{tenant}, Read: postgres.Row(&found, nil, pgx.RowTo[bool]),
		},
		postgres.Statement{
			SQL: `select role from members where tenant_id = $1 and user_id = $2`, Args: []any{tenant, user},
			Read: postgres.Row(&role, nil, pgx.RowTo[auth.Role]),
		},
		postgres.Statement{
			SQL: `select count(*) from members where tenant_id = $1 and role = 'owner'`, Args: []any{tenant},
			Read: postgres.Row(&owners, nil, pgx.RowTo[int]),
		})
	if err == nil && !found {
		err = fault.New(fault.NotFound, "There is no tenant %s.", tenant)
	}
	return role, owners, err
}

func (s store) putMember(ctx context.Context, tenant uuid.UUID, user string, u MemberUpdate, by string, at clock.Time) (Member, error) {
	m, _, err := postgres.One(ctx, s.db, `insert into members as m (tenant_id, user_id, email, role, created_by, created_at, updated_by, updated_at)
		values ($1, $2, coalesce($3, ''), $4, $5, $6, $5, $6)
		on conflict (tenant_id, user_id) do update set role = excluded.role, email = coalesce($3, m.email), updated_by = $5, updated_at = $6
		returning `+memberColumns, []any{tenant, user, u.Email, u.Role, by, at}, scanMember)
	return m, err
}

func (s store) deleteMember(ctx context.Context, user string) error {
	_, err := s.db.Exec(ctx, `delete from members where tenant_id = (select lari.tenant_id()) and user_id = $1`, user)
	return err
}
