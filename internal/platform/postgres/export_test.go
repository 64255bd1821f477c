package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// Pool lets tests look at a connection after the package has used it.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// WaitingLookups is how many lookups wait for a round trip.
func (db *DB) WaitingLookups() int {
	db.lookups.mu.Lock()
	defer db.lookups.mu.Unlock()
	return len(db.lookups.waiting)
}
