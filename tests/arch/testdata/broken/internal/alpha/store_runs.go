package alpha

import "github.com/jackc/pgx/v5"

const find = `select id from runs`

var _ pgx.Rows
