// Package event is the vocabulary.
package event

import (
	"embed"

	"example.org/broken/internal/alpha" // want imports
)

//go:embed event.go
var files embed.FS
