package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The two variables are set, so no stack is started: these tests are about the command alone.
func TestCommandsExitStatusIsOurs(t *testing.T) {
	t.Setenv(databaseVariable, "postgres://db.example/x")
	t.Setenv(temporalVariable, "temporal.example:7233")
	tests := map[string]struct {
		command []string
		want    int
		fails   bool
	}{
		"success":          {command: []string{"true"}},
		"its own status":   {command: []string{"sh", "-c", "exit 7"}, want: 7},
		"killed":           {command: []string{"sh", "-c", "kill -TERM $$"}, want: 128 + 15},
		"sees variables":   {command: []string{"sh", "-c", `test "$LARI_TEST_TEMPORAL_ADDRESS" = temporal.example:7233`}},
		"no such program":  {command: []string{filepath.Join(t.TempDir(), "absent")}, want: 127, fails: true},
		"arguments intact": {command: []string{"sh", "-c", `test "$1" = "a b"`, "sh", "a b"}},
	}
	for name, test := range tests {
		code, err := run(false, test.command, os.Stdout, make(chan os.Signal))
		if code != test.want || (err != nil) != test.fails {
			t.Errorf("%s: status %d, error %v; want %d", name, code, err, test.want)
		}
	}
}

func TestPackages_KnowsWhetherATestRan(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]bool{
		"": false,
		"ok  \ta/b\t0.01s [no tests to run]\n?   \ta/c\t[no test files]\n":              false,
		"testing: warning: no tests to run\nPASS\nok  \ta/b\t0.01s [no tests to run]\n": false,
		"ok  \ta/b\t0.01s [no tests to run]\nok  \ta/c\t1.20s\n":                        true,
		"ok  \ta/c\t(cached)\n": true,
	} {
		var p packages
		for _, b := range []byte(output) {
			if n, err := p.Write([]byte{b}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if p.ran() != want {
			t.Errorf("%q: %t", output, p.ran())
		}
	}
}

func TestSignalsReachTheCommand(t *testing.T) {
	t.Setenv(databaseVariable, "postgres://db.example/x")
	t.Setenv(temporalVariable, "temporal.example:7233")
	ready := filepath.Join(t.TempDir(), "ready")
	must(t, syscall.Mkfifo(ready, 0o600))
	signals := make(chan os.Signal, 1)
	go func() {
		if _, err := os.ReadFile(ready); err == nil { //nolint:gosec // our own pipe; it opens when the trap stands
			signals <- syscall.SIGTERM
		}
	}()
	code, err := run(false, []string{"sh", "-c", `trap 'exit 9' TERM; : > "$1"; while :; do read line < "$1" || :; done 2>/dev/null`, "sh", ready}, os.Stdout, signals)
	if code != 9 || err != nil {
		t.Fatalf("status %d, error %v; want 9", code, err)
	}
}

// The whole thing as people call it: a killed parent must not leave a stack behind.
func TestEndsWithItsParent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a stack")
	}
	binary := filepath.Join(t.TempDir(), "stack")
	must(t, exec.Command("go", "build", "-o", binary, ".").Run()) //nolint:gosec // our own package
	ready := filepath.Join(t.TempDir(), "ready")
	must(t, syscall.Mkfifo(ready, 0o600))
	// `sh` stands for `go run`; the extra command keeps it from becoming the stack itself.
	parent := exec.Command("sh", "-c", `"$1" -- sh -c 'echo $PPID > "$1"; exec sleep 600' sh "$2"; true`, "sh", binary, ready) //nolint:gosec // our own binary
	parent.Env = os.Environ()
	parent.Stderr = os.Stderr
	must(t, parent.Start())
	text, err := os.ReadFile(ready) //nolint:gosec // our own pipe
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	must(t, parent.Process.Kill())
	_ = parent.Wait()
	deadline := time.After(20 * time.Second)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-deadline:
			t.Fatalf("process %d outlives its parent", pid)
		case <-ticker.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
