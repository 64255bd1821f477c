// Package alpha is a domain that breaks what a domain can break.
package alpha

import (
	"net/http" // want foreign
	"sync"

	"example.org/broken/api"           // want imports
	"example.org/broken/internal/app"  // want imports
	"example.org/broken/internal/beta" // want imports
	"example.org/broken/internal/event"
	"example.org/broken/internal/platform/clock"
	"example.org/broken/internal/platform/devstack" // want imports
	"example.org/broken/internal/platform/postgres"
	"example.org/broken/internal/platform/postgres/pgtest" // want imports
	"example.org/broken/stray"                             // want imports
	"github.com/gofiber/fiber/v2"                          // want foreign
	"github.com/jackc/pgx/v5"                              // want foreign
	"go.temporal.io/sdk/client"                            // want foreign
)

// A table that nobody changes is none of the arch test's business; the rest is.
var (
	table          = map[string]int{"a": 1}
	_              = table
	mutex          sync.Mutex              // want state
	pool           = &sync.Pool{}          // want state
	seen           = make(map[string]bool) // want state
	current        string                  // want state
	count          = 0
	nobody         *int
	limit, maximum = 1, 2
)

func init() {} // want init

func change(local map[string]int) {
	count++           // want state
	table["b"] = 2    // want state
	delete(table, "") // want state
	_ = &limit        // want state
	maximum = 3       // want state
	table := local
	table["c"] = 3
	_ = nobody
}

func statements(columns string) []string {
	return []string{
		`insert into runs (id) values ($1)`, // want sql
		"update runs set id = $1",           // want sql
		"DELETE FROM runs",                  // want sql
		"select " + columns + " from runs",  // want sql
		`with x as ( -- // want sql
			select id from runs) table x`,
		"Select a run and go on from there.",
		"the update is set to run",
	}
}

func system() {
	_ = postgres.AsSystem // want system
	panic("at the disco") // want panic
}

// MustWork may panic: its name says so.
func MustWork() { panic("it did not") }
