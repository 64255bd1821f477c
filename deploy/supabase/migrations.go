// Package supabase holds the schema: the migrations folder, embedded, in the form that the Supabase
// CLI reads as well.
package supabase

import "embed"

// Migrations holds migrations/<14 digits>_<what>.sql.
//
//go:embed migrations/*.sql
var Migrations embed.FS
