// Package engine is Temporal behind ports.
package engine

import (
	"example.org/broken/api" // want imports
	"example.org/broken/internal/alpha"
	"example.org/broken/workflows"
	"go.temporal.io/sdk/client"
)
