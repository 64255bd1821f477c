package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// Pool lets tests look at a connection after the package has used it.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }
