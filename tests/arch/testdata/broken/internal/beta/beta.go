package beta // want doc

import "database/sql" // want foreign

const embedded = `//go:embed`

var db *sql.DB
