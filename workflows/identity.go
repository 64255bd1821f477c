package workflows

import (
	"fmt"
	"strings"
)

// WorkerIdentity names a worker process where Temporal shows who polls and who did what.
func WorkerIdentity(host string, pid int, version string) string {
	return fmt.Sprintf("%s/%d@%s", host, pid, version)
}

// ParseWorkerIdentity is WorkerIdentity backwards; ok is false for another program's identity.
func ParseWorkerIdentity(identity string) (process, version string, ok bool) {
	i := strings.LastIndexByte(identity, '@')
	if i < 0 || !strings.Contains(identity[:i], "/") {
		return "", "", false
	}
	return identity[:i], identity[i+1:], identity[i+1:] != ""
}
