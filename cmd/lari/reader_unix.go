package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// readerGone waits at most for the given time and reports whether the other end of a pipe, socket or terminal is closed. A
// file is never closed so.
func readerGone(fd int, within time.Duration) bool {
	state := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // G115: a descriptor is small
	n, err := unix.Poll(state, int(within.Milliseconds()))
	return err == nil && n > 0 && state[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
