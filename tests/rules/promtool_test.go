package rules

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/devstack"
	"github.com/larirun/lari/tests/harness"
)

const deployed = "../../deploy/prometheus"

func TestMain(m *testing.M) { os.Exit(harness.WithoutLeaks(m)) }

// programs are those of a real Prometheus, which is unpacked into the cache the first time.
func programs(t *testing.T) devstack.Prometheus {
	t.Helper()
	p, err := devstack.EnsurePrometheus(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func promtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programs(t).Promtool, args...) //nolint:gosec // the test's own arguments
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// copied is the folder of the deployment in a place of its own, with a token.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(deployed)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "lari-token"), "none")
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(deployed, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return found
}

// The configurations load, with all the rules that they name.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	dir := copied(t)
	for _, file := range files(t, "*.yml") {
		promtool(t, dir, "check", "config", filepath.Base(file))
	}
	promtool(t, dir, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, relative(files(t, "rules/*.yml"))...)...)
}

func relative(paths []string) []string {
	out := make([]string, len(paths))
	for i, path := range paths {
		out[i] = filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
	}
	return out
}

// What fires, what does not, what ends and at which numbers is written beside the rules.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, file := range relative(files(t, "tests/*.yml")) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			promtool(t, copied(t), "test", "rules", file) // a copy: so go test knows which files its cached result is of
		})
	}
}

// The exposition of a process that has worked passes promtool, but for the label that docs/metrics.md explains.
func TestExposition_PassesPromtool(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg := s.Config
	cfg.AdminAddr = freeAddress(t)
	x := s.StartWith(t, cfg, harness.All).NewTenant(t, agents.Config{})
	harness.WantWhole(t, x.Follow(t, x.StartRun(t, `{"input": "hello"}`).ID, 0).Rest(t))
	resp, err := http.Get("http://" + cfg.AdminAddr + "/metrics") //nolint:noctx // the test's own process
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	cmd := exec.CommandContext(t.Context(), programs(t).Promtool, "check", "metrics") //nolint:gosec // as above
	cmd.Stdin = resp.Body
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	known := 0
	for line := range strings.Lines(string(out)) {
		if strings.HasSuffix(line, "_quantile_seconds non-summary metrics should not have \"quantile\" label\n") {
			known++
			continue
		}
		t.Errorf("promtool check metrics: %s", line)
	}
	if known == 0 {
		t.Error("promtool finds no quantile label: the exception in docs/metrics.md has nothing to explain")
	}
}
