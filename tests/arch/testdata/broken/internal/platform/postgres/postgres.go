// Package postgres runs statements.
package postgres

import "github.com/jackc/pgx/v5"

const all = `select * from runs`
