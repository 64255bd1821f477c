package devstack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldestPostgres is the first major version that runs our SQL.
const oldestPostgres = 13

// server is a Postgres installation with pgvector that can run a cluster.
type server struct {
	binDir      string
	major       int
	libraryPath string // for LD_LIBRARY_PATH; "" when the system's libraries do
	origin      string // for people
}

func (s server) program(name string) string { return filepath.Join(s.binDir, name) }

// environment is what its programs see: no PG* variable of the caller may lead them elsewhere.
func (s server) environment() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/"}
	if s.libraryPath != "" {
		env = append(env, "LD_LIBRARY_PATH="+s.libraryPath)
	}
	return env
}

// findServer gives the first usable installation, the wanted major version (of an existing cluster)
// before all others; false when there is none.
func findServer(ctx context.Context, who account, wanted int) (server, bool) {
	var found []server
	for _, dir := range installedBinDirs(ctx) {
		if s, ok := inspectServer(ctx, who, dir, ""); ok {
			s.origin = "installed in " + dir
			found = append(found, s)
		}
	}
	return preferMajor(found, wanted)
}

func preferMajor(found []server, wanted int) (server, bool) {
	if len(found) == 0 {
		return server{}, false
	}
	if i := slices.IndexFunc(found, func(s server) bool { return s.major == wanted }); i >= 0 {
		return found[i], true
	}
	return found[0], true
}

// installedBinDirs lists where Debian, Red Hat, Homebrew, Postgres.app and a source build put programs.
func installedBinDirs(ctx context.Context) []string {
	var dirs []string
	if dir, ok := outputOf(ctx, nil, "pg_config", "--bindir"); ok {
		dirs = append(dirs, dir)
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		slices.SortFunc(matches, func(a, b string) int { return majorIn(b) - majorIn(a) })
		dirs = append(dirs, matches...)
	}
	return slices.Compact(dirs)
}

var digits = regexp.MustCompile(`\d+`)

func majorIn(text string) int {
	major, err := strconv.Atoi(digits.FindString(text))
	if err != nil {
		return 0
	}
	return major
}

// inspectServer reports whether the folder holds a new enough Postgres whose share folder has pgvector.
func inspectServer(ctx context.Context, who account, binDir, libraryPath string) (server, bool) {
	s := server{binDir: binDir, libraryPath: libraryPath}
	if _, err := os.Stat(s.program("initdb")); err != nil || !who.canEnter(binDir) {
		return server{}, false
	}
	version, ok := outputOf(ctx, s.environment(), s.program("postgres"), "--version")
	if s.major = majorIn(version); !ok || s.major < oldestPostgres {
		return server{}, false
	}
	share, ok := outputOf(ctx, s.environment(), s.program("pg_config"), "--sharedir")
	if !ok {
		return server{}, false
	}
	_, err := os.Stat(filepath.Join(share, "extension", "vector.control"))
	return s, err == nil
}

// outputOf runs a short command and gives its trimmed output; false if it is absent or fails.
func outputOf(ctx context.Context, env []string, name string, args ...string) (string, bool) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // fixed programs
	cmd.Env = env
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err == nil
}
