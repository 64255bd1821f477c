package devstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"
)

// The oldest Prometheus that rules and dashboards are made for, and tested with: Debian 12's.
const (
	prometheusMajor = 2
	prometheusMinor = 42
)

// Prometheus is where its programs are.
type Prometheus struct{ Server, Promtool string }

// EnsurePrometheus gives a Prometheus of the pinned version or a later one: unpacked from the package of this
// Debian release into the cache the first time, where there is no apt the one on PATH. Nothing is installed and no
// service is started. Progress goes to out, which may be nil. Errors are *Trouble or the context's.
func EnsurePrometheus(ctx context.Context, out io.Writer) (Prometheus, error) {
	store, err := openCache()
	if err != nil {
		return Prometheus{}, err
	}
	return findPrometheus(ctx, newProgress(out), store)
}

func findPrometheus(ctx context.Context, out *progress, store *cache) (Prometheus, error) {
	for _, tool := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return prometheusOnPath(ctx, err)
		}
	}
	key := fmt.Sprintf("prometheus-%s-%d.%d-%s", releaseName("/etc/os-release"), prometheusMajor, prometheusMinor, runtime.GOARCH)
	entry, err := store.ensure(ctx, out, key, func(ctx context.Context, dir string) error {
		defer out.repeat(ctx, 10*time.Second, "unpacking Prometheus from its Debian package, once, about 10 seconds")()
		err := unpackPrometheus(ctx, dir)
		if err == nil || isDiskFull(err) || ctx.Err() != nil {
			return err
		}
		return noPrometheus(err)
	})
	if err != nil {
		return Prometheus{}, err
	}
	return prometheusIn(entry), nil
}

func prometheusIn(dir string) Prometheus {
	return Prometheus{Server: filepath.Join(dir, "usr/bin/prometheus"), Promtool: filepath.Join(dir, "usr/bin/promtool")}
}

func unpackPrometheus(ctx context.Context, dir string) error {
	work := filepath.Join(dir, "work")
	lists, err := newApt(filepath.Join(work, "apt"), "deb", machineAptSources("/etc/apt"))
	if err != nil {
		return err
	}
	warning, err := lists.update(ctx)
	if err != nil {
		return err
	}
	if err := lists.download(ctx, filepath.Join(work, "packages"), "prometheus"); err != nil {
		return fmt.Errorf("%w %s", err, warning)
	}
	if err := unpack(ctx, filepath.Join(work, "packages"), dir); err != nil {
		return err
	}
	for _, path := range []string{"work", "etc", "lib", "usr/lib", "usr/share"} { // the programs are all that is used
		if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
			return err
		}
	}
	return prometheusIn(dir).check(ctx)
}

func prometheusOnPath(ctx context.Context, missing error) (Prometheus, error) {
	server, err := exec.LookPath("prometheus")
	if err != nil {
		return Prometheus{}, noPrometheus(missing)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		return Prometheus{}, noPrometheus(missing)
	}
	p := Prometheus{Server: server, Promtool: promtool}
	if err := p.check(ctx); err != nil {
		return Prometheus{}, noPrometheus(err)
	}
	return p, nil
}

var prometheusVersion = regexp.MustCompile(`, version (\d+)\.(\d+)`)

// check demands that both programs run here and are not older than what is pinned.
func (p Prometheus) check(ctx context.Context) error {
	for _, program := range []string{p.Server, p.Promtool} {
		text, err := runQuietly(exec.CommandContext(ctx, program, "--version")) //nolint:gosec // found or unpacked above
		if err != nil {
			return err
		}
		if !recentPrometheus(text) {
			return trouble(nil, "%s is not %d.%d or later: %.40q", program, prometheusMajor, prometheusMinor, text)
		}
	}
	return nil
}

func recentPrometheus(version string) bool {
	v := prometheusVersion.FindStringSubmatch(version)
	if v == nil {
		return false
	}
	major, err := strconv.Atoi(v[1])
	if err != nil {
		return false
	}
	minor, err := strconv.Atoi(v[2])
	return err == nil && (major > prometheusMajor || major == prometheusMajor && minor >= prometheusMinor)
}

func noPrometheus(err error) error {
	return trouble(err, "Prometheus %d.%d or later cannot be had (%v). On Debian or Ubuntu make the package `prometheus` available to apt-get; elsewhere put `prometheus` and `promtool` on PATH.",
		prometheusMajor, prometheusMinor, err)
}
