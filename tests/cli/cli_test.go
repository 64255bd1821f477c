// Package cli runs the program as people and scripts do in a terminal.
package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/larirun/lari/tests/harness"
)

// program is the built cmd/lari.
var program string

func TestMain(m *testing.M) { os.Exit(harness.WithProgram(m, &program)) }

// result is what a finished command left.
type result struct {
	out, err string
	code     int
}

// lari runs the program with the environment's variables that the test names, and no other LARI_ or SUPABASE_ ones.
func lari(t *testing.T, env []string, args ...string) result {
	t.Helper()
	cmd := command(t, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("lari %v: %v", args, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...) //nolint:gosec // the test's own build
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir}, env...)
	return cmd
}

func (r result) mustExit(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, want %d; stdout %q, stderr %q", r.code, code, r.out, r.err)
	}
	return r
}

var commandNames = []string{"dev", "api", "worker", "migrate", "bootstrap", "token", "run", "version"}

func TestHelp_GoesToStandardOutputWithZero(t *testing.T) {
	t.Parallel()
	for _, ask := range [][]string{{"-h"}, {"--help"}, {"help"}} {
		r := lari(t, nil, ask...).mustExit(t, 0)
		for _, name := range commandNames {
			if !strings.Contains(r.out, "\n  "+name+" ") {
				t.Errorf("lari %v does not name %s: %s", ask, name, r.out)
			}
		}
		if r.err != "" {
			t.Errorf("lari %v writes to standard error: %s", ask, r.err)
		}
	}
	for _, name := range commandNames {
		for _, ask := range [][]string{{name, "-h"}, {name, "--help"}, {"help", name}} {
			r := lari(t, nil, ask...).mustExit(t, 0)
			if !strings.HasPrefix(r.out, "Usage: lari "+name) || r.err != "" {
				t.Errorf("lari %v: stdout %q, stderr %q", ask, r.out, r.err)
			}
		}
	}
}

func TestUsageError_IsNamedOnceOnStandardErrorWithTwo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "Usage: lari COMMAND"},
		{[]string{"nope"}, `there is no command "nope"`},
		{[]string{"help", "nope"}, `there is no command "nope"`},
		{[]string{"token", "extra"}, `lari token takes no argument "extra"`},
		{[]string{"token", "--nope"}, "flag provided but not defined: -nope"},
		{[]string{"token", "--ttl", "soon"}, `invalid value "soon"`},
		{[]string{"run"}, "lari run: no text for the agent"},
		{[]string{"run", "text", "--nope"}, "flag provided but not defined: -nope"},
	} {
		r := lari(t, nil, c.args...).mustExit(t, 2)
		if r.out != "" || strings.Count(r.err, c.says) != 1 {
			t.Errorf("lari %v: stdout %q, stderr %q, want %q once", c.args, r.out, r.err, c.says)
		}
	}
}

func TestVersion_NamesCommitDateAndGo(t *testing.T) {
	t.Parallel()
	r := lari(t, nil, "version").mustExit(t, 0)
	if !regexp.MustCompile(`^lari \S+ \(.*go1\.\d+\S* \w+/\w+\)\n$`).MatchString(r.out) {
		t.Errorf("version prints %q", r.out)
	}
	var build struct{ Version, Commit, Date, Go, Platform string }
	if err := json.Unmarshal([]byte(lari(t, nil, "version", "--json").mustExit(t, 0).out), &build); err != nil {
		t.Fatal(err)
	}
	if build.Commit == "" { // a build from a source without history
		t.Logf("no commit in %+v", build)
		return
	}
	for _, part := range []string{build.Version, build.Commit, build.Date, build.Go, build.Platform} {
		if part == "" || !strings.Contains(r.out, part) {
			t.Errorf("version prints %q, without %q", r.out, part)
		}
	}
}
