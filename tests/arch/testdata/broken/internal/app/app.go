// Package app joins the parts.
package app

import (
	"example.org/broken/api"
	"example.org/broken/cmd/lari" // want imports
	"example.org/broken/internal/engine"
	"example.org/broken/internal/platform/devstack"
	"example.org/broken/tests/perf" // want imports
)
