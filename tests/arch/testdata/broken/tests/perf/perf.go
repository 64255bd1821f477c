// Package perf is for tests.
package perf

import (
	"github.com/jackc/pgx/v5"

	"example.org/broken/cmd/lari" // want imports
	"example.org/broken/internal/app"
	"example.org/broken/internal/platform/devstack"
)
