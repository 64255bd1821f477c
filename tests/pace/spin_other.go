//go:build !linux

package pace

import "time"

// spin returns at once: there is no clock of a thread's processor time, so the clock on the wall decides.
func spin(until time.Duration) time.Duration {
	began := time.Now()
	for time.Since(began) < until {
	}
	return time.Since(began)
}
