package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/larirun/lari/internal/platform/fault"
)

// What the database refuses because of the value is refused again at every retry.
func TestTranslate_ValuesThatCannotBeStoredAreInvalid(t *testing.T) {
	t.Parallel()
	d := notes(t)
	ctx, _ := d.Tenant(t, "one")
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	for state, c := range map[string]struct{ sql, value string }{
		"22P05": {`select $1::text::jsonb`, `"\u0000"`},
		"22P02": {`select $1::text::jsonb`, `"\ud83d"`},
		"22003": {`select $1::text::jsonb`, `1e999999`},
		"54001": {`select $1::text::jsonb`, deep},
		"22021": {`select $1::text`, "a\x00"},
		"54000": {`select to_tsvector('simple', string_agg(i || $1, ' ')) from generate_series(1, 200000) as i`, "word"},
	} {
		_, err := d.DB.Exec(ctx, c.sql, c.value)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != state || fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v", state, err)
		}
	}
}
