//go:build race

package audit_test

import "time"

// limit is what the race detector leaves of the promise.
func limit() time.Duration { return 10 * time.Second }
