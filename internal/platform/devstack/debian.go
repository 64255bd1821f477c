package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// vectorSuite is the Debian release whose source package brings vectorVersion.
const vectorSuite = "trixie"

// buildDebianServer unpacks the release's Postgres into the cache and adds pgvector: from a package where
// the release has one, else compiled from Debian's source package.
func buildDebianServer(ctx context.Context, out *progress, store *cache, who account) (server, error) {
	for _, tool := range []string{"apt-get", "apt-cache", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return server{}, noServer(fmt.Errorf("no %s here", tool))
		}
	}
	key := "postgres-" + releaseName("/etc/os-release") + "-pgvector-" + vectorVersion + "-" + runtime.GOARCH
	entry, err := store.ensure(ctx, out, key, func(ctx context.Context, dir string) error {
		defer out.repeat(ctx, 10*time.Second, "preparing Postgres with pgvector from Debian packages, once, about 15 seconds")()
		b := debianBuild{dir: dir, work: filepath.Join(dir, "work"), sources: machineAptSources("/etc/apt")}
		if err := b.run(ctx); err != nil {
			if isDiskFull(err) || ctx.Err() != nil {
				return err
			}
			return noServer(err)
		}
		return nil
	})
	if err != nil {
		return server{}, err
	}
	s, ok := cachedServer(ctx, who, entry)
	if !ok {
		return server{}, trouble(nil, "The Postgres in %s does not run for %s: remove that folder to have it prepared again.", entry, who.name)
	}
	return s, nil
}

// releaseName gives the system's code name, part of the cache key: another release has other libraries.
func releaseName(path string) string {
	text, err := os.ReadFile(path) //nolint:gosec // the system's own file
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "VERSION_CODENAME="); ok {
				return strings.Trim(strings.TrimSpace(name), `"`)
			}
		}
	}
	return "unknown"
}

// debianBuild is one preparation: dir becomes the cache entry, work is gone at the end.
type debianBuild struct {
	dir, work string
	sources   []aptSource
}

func (b *debianBuild) run(ctx context.Context) error {
	if len(b.sources) == 0 {
		return trouble(nil, "apt has no package source with a component `main`")
	}
	if err := os.Mkdir(b.work, 0o750); err != nil {
		return fmt.Errorf("build folder: %w", err)
	}
	lists, err := newApt(filepath.Join(b.work, "apt"), "deb", b.sources)
	if err != nil {
		return err
	}
	warning, err := lists.update(ctx)
	if err != nil {
		return err
	}
	major, err := packagedMajor(ctx, lists)
	if err != nil {
		return fmt.Errorf("%w %s", err, warning)
	}
	base := []string{"postgresql-" + major, "postgresql-client-" + major, "libpq5"}
	vector := "postgresql-" + major + "-pgvector"
	packaged := lists.has(ctx, vector)
	packages := slices.Concat(base, []string{vector})
	if !packaged {
		packages = slices.Concat(base, []string{"postgresql-server-dev-" + major, "libpq-dev"})
	}
	if err := lists.download(ctx, filepath.Join(b.work, "packages"), packages...); err != nil {
		return err
	}
	if err := unpack(ctx, filepath.Join(b.work, "packages"), b.dir); err != nil {
		return err
	}
	m := manifest{BinDir: filepath.Join("usr/lib/postgresql", major, "bin"), Packages: packages}
	if err := b.addLibraries(ctx, lists, &m, base); err != nil {
		return err
	}
	if !packaged {
		if err := b.compileVector(ctx, lists, m); err != nil {
			return err
		}
	}
	b.trim(major)
	return m.save(b.dir)
}

// packagedMajor asks the release for its Postgres.
func packagedMajor(ctx context.Context, lists *apt) (string, error) {
	text, err := lists.run(ctx, "apt-cache", lists.dir, "depends", "postgresql")
	if err != nil {
		return "", fmt.Errorf("the package lists offer no postgresql: %w", err)
	}
	for line := range strings.Lines(text) {
		if _, major, ok := strings.Cut(strings.TrimSpace(line), "Depends: postgresql-"); ok {
			return major, nil
		}
	}
	return "", trouble(nil, "the package lists offer no postgresql")
}

// addLibraries downloads shared libraries that the machine lacks; most machines lack none.
func (b *debianBuild) addLibraries(ctx context.Context, lists *apt, m *manifest, roots []string) error {
	if len(b.missingLibraries(ctx, *m)) == 0 {
		return nil
	}
	names, err := lists.closure(ctx, isSharedLibrary, roots...)
	if err != nil {
		return err
	}
	if err := lists.download(ctx, filepath.Join(b.work, "libraries"), names...); err != nil {
		return err
	}
	if err := unpack(ctx, filepath.Join(b.work, "libraries"), b.dir); err != nil {
		return err
	}
	for _, pattern := range []string{"usr/lib/*-linux-*", "lib/*-linux-*"} {
		dirs, err := filepath.Glob(filepath.Join(b.dir, pattern))
		if err != nil {
			return fmt.Errorf("library folders: %w", err)
		}
		for _, dir := range dirs {
			m.LibDirs = append(m.LibDirs, strings.TrimPrefix(dir, b.dir+"/"))
		}
	}
	if missing := b.missingLibraries(ctx, *m); len(missing) > 0 {
		return trouble(nil, "shared libraries are missing even so: %s", strings.Join(missing, ", "))
	}
	m.Packages = append(m.Packages, names...)
	return nil
}

func (b *debianBuild) missingLibraries(ctx context.Context, m manifest) []string {
	var missing []string
	for _, program := range []string{"postgres", "initdb", "pg_config"} {
		cmd := exec.CommandContext(ctx, "ldd", filepath.Join(b.dir, m.BinDir, program)) //nolint:gosec // fixed program
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(m.libraries(b.dir), ":"))
		text, err := cmd.Output()
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if name, _, lacks := strings.Cut(line, " => not found"); lacks && !slices.Contains(missing, strings.TrimSpace(name)) {
				missing = append(missing, strings.TrimSpace(name))
			}
		}
	}
	return missing
}

// trim drops what a server never reads: the JIT's bitcode, headers, documentation, the build itself.
func (b *debianBuild) trim(major string) {
	for _, path := range []string{
		"work", "usr/include", "usr/share/doc", "usr/share/man", "usr/share/locale",
		"usr/lib/postgresql/" + major + "/lib/bitcode", "usr/lib/postgresql/" + major + "/lib/llvmjit.so",
	} {
		_ = os.RemoveAll(filepath.Join(b.dir, path))
	}
}
