package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// orphanSteps end what an earlier run left behind: a clean shutdown writes a checkpoint, so it gets the
// longest.
func orphanSteps() []stopStep {
	return []stopStep{{syscall.SIGINT, 20 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}}
}

// clearCluster makes a cluster folder safe to start on: a server that an earlier run left behind is shut
// down cleanly, and a pid file that points to somebody else's process is removed. The pid file of a dead
// server stays, for Postgres checks through it that no backend still has the shared memory.
func clearCluster(ctx context.Context, out *progress, dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("cluster folder: %w", err)
	}
	pidFile := filepath.Join(dir, "postmaster.pid")
	postmaster := firstNumber(pidFile)
	running := serversIn(dir, postmaster)
	if len(running) > 0 {
		out.line("stopping a Postgres that an earlier run left behind (process %d)", running[0])
	}
	for _, step := range orphanSteps() {
		if step.signal == syscall.SIGINT { // the postmaster stops its backends; without one nobody checkpoints
			if !slices.Contains(running, postmaster) {
				continue
			}
			running = []int{postmaster}
		}
		for _, pid := range running {
			_ = syscall.Kill(pid, step.signal)
		}
		if err := waitUntil(ctx, step.wait, func() bool { return len(serversIn(dir, postmaster)) == 0 }); err != nil {
			return err
		}
		if running = serversIn(dir, postmaster); len(running) == 0 {
			break
		}
	}
	if len(running) > 0 {
		return trouble(nil, "Process %d still runs a Postgres on %s and does not stop: end it (kill -9 %d) and try again.", running[0], dir, running[0])
	}
	if postmaster = firstNumber(pidFile); postmaster != 0 && processAlive(postmaster) {
		if err := os.Remove(pidFile); err != nil {
			return fmt.Errorf("remove stale pid file: %w", err)
		}
	}
	return nil
}

// waitUntil looks every 20 ms until done or the limit, whichever is first; only the context's end is an
// error.
func waitUntil(ctx context.Context, limit time.Duration, done func() bool) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for an earlier run's processes: %w", ctx.Err())
		case <-deadline.C:
			return nil
		case <-ticker.C:
		}
	}
	return nil
}

// serversIn lists the Postgres processes that work in a cluster folder, the postmaster first. A server's
// processes change into it, which /proc shows; elsewhere the pid file's process is asked for its command
// line.
func serversIn(dir string, postmaster int) []int {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil || len(links) == 0 {
		if line := commandLine(postmaster); isPostgres(line) && strings.Contains(line, dir) {
			return []int{postmaster}
		}
		return nil
	}
	var found []int
	for _, link := range links {
		where, err := os.Readlink(link)
		pid := majorIn(link)
		if err != nil || where != dir || !isPostgres(commandLine(pid)) {
			continue
		}
		if pid == postmaster {
			found = slices.Insert(found, 0, pid)
		} else {
			found = append(found, pid)
		}
	}
	return found
}

// isPostgres tells a server's processes from an editor or a shell that happens to stand in its folder.
func isPostgres(commandLine string) bool {
	program, _, _ := strings.Cut(commandLine, " ")
	switch filepath.Base(program) {
	case "postgres", "postgres:", "postmaster", "initdb":
		return true
	default:
		return false
	}
}

// endTemporalOrphan ends a dev server that an earlier run left on the same port and database file. It is
// killed outright: the write-ahead log of its SQLite file makes that safe (databaseArguments).
func endTemporalOrphan(ctx context.Context, out *progress, last state) error {
	mine := func() bool {
		line := commandLine(last.TemporalPID)
		return strings.Contains(line, " start-dev ") && strings.Contains(line, " --port "+strconv.Itoa(last.TemporalPort)+" ")
	}
	if !mine() {
		return nil
	}
	out.line("stopping a Temporal dev server that an earlier run left behind (process %d)", last.TemporalPID)
	_ = syscall.Kill(last.TemporalPID, syscall.SIGKILL)
	return waitUntil(ctx, 5*time.Second, func() bool { return !mine() })
}

func processAlive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// commandLine gives a process' arguments, each followed by a space; "" if it is gone or a zombie.
func commandLine(pid int) string {
	if pid <= 0 {
		return ""
	}
	if text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline")); err == nil {
		return strings.ReplaceAll(string(text), "\x00", " ")
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // a quick look at one process
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out)) + " "
}

// firstNumber reads the number on the first line of a file, 0 if there is none.
func firstNumber(path string) int {
	text, err := os.ReadFile(path) //nolint:gosec // a path of our own making
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	number, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || number < 0 {
		return 0
	}
	return number
}
