// Package connectors is the door to the outside.
package connectors

import (
	"example.org/broken/internal/alpha" // want imports
	"example.org/broken/internal/event"
	"example.org/broken/internal/platform/clock"
)
