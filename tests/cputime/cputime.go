// Package cputime tells what this process has used of its processors: for figures that must not depend on what else
// the machine does.
package cputime

import (
	"syscall"
	"testing"
	"time"
)

// Used is that time since the process began, user and system.
func Used(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
