package devstack

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
)

// compileVector builds pgvector from Debian's source package into the private tree.
func (b *debianBuild) compileVector(ctx context.Context, lists *apt, m manifest) error {
	cc, err := b.findCompiler(ctx, lists)
	if err != nil {
		return err
	}
	source, err := b.downloadVector(ctx)
	if err != nil {
		return err
	}
	if _, err := runQuietly(exec.CommandContext(ctx, "tar", "-xf", source, "-C", b.work)); err != nil { //nolint:gosec // fixed program
		return err
	}
	folders, err := filepath.Glob(filepath.Join(b.work, "pgvector-*"))
	if err != nil || len(folders) != 1 {
		return fmt.Errorf("the source package of pgvector holds %d folders, not one", len(folders))
	}
	settings := []string{
		"OPTFLAGS=", // the default compiles for this very processor; the cache may be carried to another
		"with_llvm=no", "PG_CONFIG=" + filepath.Join(b.dir, m.BinDir, "pg_config"),
	}
	for _, target := range []string{"all", "install"} {
		args := slices.Concat([]string{"-C", folders[0], "-j" + strconv.Itoa(runtime.NumCPU()), target}, settings, cc.settings)
		cmd := exec.CommandContext(ctx, cc.make, args...) //nolint:gosec // fixed program
		cmd.Env = cc.environment(m.libraries(b.dir))
		if _, err := runQuietly(cmd); err != nil {
			return fmt.Errorf("compile pgvector: %w", err)
		}
	}
	return nil
}

// downloadVector asks the machine's own archives, in turn, for the source package.
func (b *debianBuild) downloadVector(ctx context.Context) (string, error) {
	var last error
	for i, place := range sourcePackagesOf(b.sources, vectorSuite) {
		dir := filepath.Join(b.work, "source"+strconv.Itoa(i))
		lists, err := newApt(dir, "deb-src", []aptSource{place})
		if err != nil {
			return "", err
		}
		warning, err := lists.update(ctx)
		if err == nil {
			_, err = lists.run(ctx, "apt-get", dir, "-qq", "source", "--download-only", "pgvector")
		}
		if err != nil {
			last = fmt.Errorf("%w %s", err, warning)
			continue
		}
		files, err := filepath.Glob(filepath.Join(dir, "pgvector_"+vectorVersion+"*.orig.tar.*"))
		if err == nil && len(files) > 0 {
			return files[0], nil
		}
		last = fmt.Errorf("its pgvector is not %s", vectorVersion)
	}
	return "", fmt.Errorf("no archive of this machine serves the source package of pgvector %s: %w", vectorVersion, last)
}

// noServer is the end of the road: what went wrong and the three ways to go on.
func noServer(err error) error {
	return trouble(err, "There is no Postgres with pgvector and none can be prepared here (%v). Three ways to go on: "+
		"set DATABASE_URL to a PostgreSQL %d or newer that has pgvector; install one (Debian 13: postgresql-17-pgvector, "+
		"Ubuntu 24.04: postgresql-16-pgvector, Homebrew: postgresql@17 pgvector); or start a Docker engine.", err, oldestPostgres)
}
