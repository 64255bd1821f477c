package devstack

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// EnsureGoTool gives the path of a Go program at a pinned version, building it into the cache if it is not
// there yet. module is the package to install (github.com/golangci/golangci-lint/v2/cmd/golangci-lint),
// version a tag (v2.15.0). Progress goes to out, which may be nil. Tools are keyed by the Go release too,
// since linters refuse code of a newer Go than they were built with. Errors are *Trouble or the context's.
func EnsureGoTool(ctx context.Context, out io.Writer, module, version string) (string, error) {
	store, err := openCache()
	if err != nil {
		return "", err
	}
	name := programName(module)
	tool := goTool{prefix: "go-tool-" + name, module: module, version: version, what: "building " + name + " " + version + ", once"}
	return tool.build(ctx, newProgress(out), store)
}

// goTool is a Go program to install into the cache.
type goTool struct {
	prefix          string // of the cache key
	module, version string
	what            string // the progress line
}

var majorSuffix = regexp.MustCompile(`^v\d+$`)

// programName is the name that `go install` gives a program.
func programName(module string) string {
	name := path.Base(module)
	if majorSuffix.MatchString(name) {
		name = path.Base(path.Dir(module))
	}
	return name
}

// build gives the program's path, installing it if it is not in the cache.
func (t goTool) build(ctx context.Context, out *progress, store *cache) (string, error) {
	name := programName(t.module)
	env := append(withoutVariables(os.Environ(), "GOFLAGS", "GOOS", "GOARCH"), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	release, hasGo := outputOf(ctx, env, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	if !hasGo {
		return "", trouble(nil, "%s %s has to be built and there is no Go here: install Go and put `go` on PATH.", name, t.version)
	}
	key := t.prefix + "-" + strings.TrimPrefix(t.version, "v") + "-" + strings.Join(strings.Fields(release), "-")
	entry, err := store.ensure(ctx, out, key, func(ctx context.Context, dir string) error {
		defer out.repeat(ctx, 10*time.Second, t.what)()
		cmd := exec.CommandContext(ctx, "go", "install", t.module+"@"+t.version) //nolint:gosec // a pinned program
		cmd.Dir = dir
		cmd.Env = slices.Concat(env, []string{"GOBIN=" + dir})
		if _, err := runQuietly(cmd); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if strings.Contains(err.Error(), "no space left on device") {
				return trouble(err, "The disk is full while %s is built: free about 2 GB for Go's build cache.", name)
			}
			return trouble(err, "%s %s cannot be built (%v): check that the Go module proxy can be reached (go env GOPROXY) and try again.", name, t.version, err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(entry, name), nil
}

func withoutVariables(env []string, names ...string) []string {
	return slices.DeleteFunc(env, func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(names, name)
	})
}
