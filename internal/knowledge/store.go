package knowledge

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

// DB runs statements inside the context's tenant: row-level security, not the SQL, keeps tenants apart.
type DB interface {
	// Batch runs statements one after the other, in one transaction and one round trip.
	Batch(ctx context.Context, statements ...postgres.Statement) error
	// Exec runs one statement and gives the number of rows that it touched.
	Exec(ctx context.Context, sql string, args ...any) (int64, error)
}

// store is the only place with SQL of this domain. Statements do not name the tenant where they read:
// the table's policies do.
type store struct{ db DB }

const upsertSQL = `
insert into documents (id, tenant_id, title, uri, body)
select d.id, $1::uuid, d.title, d.uri, d.body
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) as d(id, title, uri, body)
order by d.uri -- two calls that touch the same documents lock them in the same order
on conflict (tenant_id, uri) do update set title = excluded.title, body = excluded.body
where (documents.title, documents.body) is distinct from (excluded.title, excluded.body)`

func (s store) upsert(ctx context.Context, tenant uuid.UUID, docs []Document) error {
	n := len(docs)
	ids, titles, uris, bodies := make([]uuid.UUID, n), make([]string, n), make([]string, n), make([]string, n)
	for i, d := range docs {
		ids[i], titles[i], uris[i], bodies[i] = d.ID, d.Title, d.URI, d.Body
	}
	_, err := s.db.Exec(ctx, upsertSQL, tenant, ids, titles, uris, bodies)
	switch {
	case err == nil:
		return nil
	case postgres.UniqueViolation(err) == "documents_pkey":
		return fault.Wrap(err, fault.Conflict, "a document with this id exists under another URI")
	default:
		return fmt.Errorf("store documents: %w", err)
	}
}

// asSearcherSQL becomes, for what follows in the transaction, the role that sees the tenant's documents
// which match the query and nothing else: only its policy lets a search use the index (see the migration
// knowledge_search). Where the login role may not become it, the search does without. websearch_to_tsquery never fails, whatever the text. A query of exclusions alone
// (querytree 'T') would give every other document: it gives none.
const asSearcherSQL = `
select set_config('lari.search_caller', current_user::text, true),
  set_config('role', coalesce((
    select rolname::text from pg_roles
    where rolname = 'lari_search' and pg_has_role(session_user, oid, 'MEMBER') and has_table_privilege(oid, 'public.documents', 'select')
  ), current_user::text), true),
  set_config('lari.search_query', case when numnode(query) > 0 and querytree(query) not in ('', 'T') then query::text else '' end, true)
from websearch_to_tsquery('english', $1) as query`

// asCallerSQL goes back: the transaction may be one that others go on with.
const asCallerSQL = `select set_config('role', current_setting('lari.search_caller'), true), set_config('lari.search_query', '', true)`

// searchSQL ranks in an inner query, so that headlines (which parse the whole body again) are made for
// the hits alone. The searcher's policy has found the documents that fit; others are asked again. Rank normalisation 1|32: divided by
// 1 + log(length), then mapped to 0..1. The content starts a little before the first fragment.
const searchSQL = `
with wanted as materialized (
  select lari.search_query() as query
), found as (
  select d.id, d.title, d.uri, d.body, w.query, ts_rank_cd(d.search, w.query, 33) as score
  from documents d, wanted w
  where d.search @@ w.query
  order by score desc, d.uri
  limit $1
), cut as (
  select found.*, ts_headline('english', body, query,
    'StartSel="", StopSel="", MaxFragments=2, MinWords=12, MaxWords=40, FragmentDelimiter=" … "') as snippet
  from found
)
select id, title, uri, left(snippet, 800),
  substr(body, greatest(strpos(body, split_part(snippet, ' … ', 1)) - 400, 1), 2000),
  score::float8
from cut
order by score desc, uri`

func (s store) search(ctx context.Context, query string, limit int) ([]Hit, error) {
	hits := []Hit{}
	err := s.db.Batch(ctx,
		postgres.Statement{SQL: asSearcherSQL, Args: []any{query}},
		postgres.Statement{SQL: searchSQL, Args: []any{limit}, Read: postgres.Rows(&hits, func(row pgx.CollectableRow) (Hit, error) {
			var h Hit
			err := row.Scan(&h.ID, &h.Title, &h.URI, &h.Snippet, &h.Content, &h.Score)
			return h, err
		})},
		postgres.Statement{SQL: asCallerSQL})
	if err != nil {
		return nil, fmt.Errorf("search documents: %w", err)
	}
	return hits, nil
}
