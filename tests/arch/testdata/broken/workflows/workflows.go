// Package workflows holds decisions.
package workflows

import (
	"net/http" // want foreign

	"example.org/broken/internal/alpha"
	"example.org/broken/internal/engine" // want imports
	"go.temporal.io/sdk/workflow"
)
