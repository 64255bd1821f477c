//go:build !race

package audit_test

import "time"

func limit() time.Duration { return 2 * time.Second }
