package pace

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// spin keeps a thread busy until it has had the given time of a processor and returns what it had.
func spin(until time.Duration) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := threadTime()
	for {
		if used := threadTime() - began; used >= until {
			return used
		}
	}
}

func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return time.Duration(time.Now().UnixNano())
	}
	return time.Duration(t.Nano())
}
