package alpha

import (
	"time"

	renamed "example.org/broken/internal/platform/postgres"
)

func elsewhere() {
	seen["x"] = true        // want state
	_ = renamed.AsSystem(1) // want system
	time.Sleep(1)           // want sleep
}
