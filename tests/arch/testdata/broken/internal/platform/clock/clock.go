// Package clock is a mechanism.
package clock

import (
	"net/http"

	"example.org/broken/internal/event" // want imports
	"go.temporal.io/sdk/client"         // want foreign
)

// Drop drops the connection.
func Drop() { panic(http.ErrAbortHandler) }
