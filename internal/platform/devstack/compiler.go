package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// compiler is how to run make and a C compiler.
type compiler struct {
	make      string
	settings  []string // make variables
	programs  string   // a folder to search first; "" for the machine's own
	libraries []string // folders of the libraries that those programs need
}

// environment is ours, with what the compiler and Postgres' own programs need.
func (c compiler) environment(more []string) []string {
	env := os.Environ()
	if c.programs != "" {
		env = append(env, "PATH="+c.programs+":"+os.Getenv("PATH"))
	}
	if libraries := slices.Concat(more, c.libraries); len(libraries) > 0 {
		env = append(env, "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
	}
	return env
}

// findCompiler gives the machine's compiler if it can compile (gcc alone, without the C library's headers,
// cannot), else one unpacked from packages into the build folder, gone with it.
func (b *debianBuild) findCompiler(ctx context.Context, lists *apt) (compiler, error) {
	probe := exec.CommandContext(ctx, "gcc", "-x", "c", "-fsyntax-only", "-")
	probe.Stdin = strings.NewReader("#include <stdio.h>\n#include <math.h>\n")
	if program, err := exec.LookPath("make"); err == nil && probe.Run() == nil {
		return compiler{make: program}, nil
	}
	c, err := b.unpackCompiler(ctx, lists)
	if err != nil {
		return compiler{}, fmt.Errorf("pgvector has to be compiled, and without gcc and make (apt-get install gcc make libc6-dev) that fails: %w", err)
	}
	return c, nil
}

// unpackCompiler makes a system root with gcc, make and the C library's headers. The C library itself is
// linked in from the machine: another build of it would not fit the machine's loader.
func (b *debianBuild) unpackCompiler(ctx context.Context, lists *apt) (compiler, error) {
	roots := []string{"gcc", "make", "libc6-dev"}
	names, err := lists.closure(ctx, func(name string) bool { return name != "libc6" }, roots...)
	if err != nil {
		return compiler{}, err
	}
	tree, packages := filepath.Join(b.work, "compiler"), filepath.Join(b.work, "compiler-packages")
	if err := lists.download(ctx, packages, slices.Concat(roots, names)...); err != nil {
		return compiler{}, err
	}
	if err := unpack(ctx, packages, tree); err != nil {
		return compiler{}, err
	}
	if err := linkSystemLibrary(ctx, tree); err != nil {
		return compiler{}, err
	}
	libraries, err := filepath.Glob(filepath.Join(tree, "usr/lib/*-linux-*"))
	if err != nil {
		return compiler{}, fmt.Errorf("library folders: %w", err)
	}
	programs := filepath.Join(tree, "usr/bin")
	return compiler{
		make:     filepath.Join(programs, "make"),
		settings: []string{"CC=" + filepath.Join(programs, "gcc") + " --sysroot=" + tree},
		programs: programs, libraries: libraries,
	}, nil
}

// linkSystemLibrary puts the files of the installed C library into a tree, as links.
func linkSystemLibrary(ctx context.Context, tree string) error {
	text, err := runQuietly(exec.CommandContext(ctx, "dpkg", "-L", "libc6"))
	if err != nil {
		return err
	}
	for file := range strings.Lines(text) {
		file = strings.TrimSpace(file)
		info, err := os.Stat(file)
		if err != nil || info.IsDir() || !strings.Contains(file, "/lib") {
			continue
		}
		link := filepath.Join(tree, file)
		if err := os.MkdirAll(filepath.Dir(link), 0o750); err != nil {
			return fmt.Errorf("system root: %w", err)
		}
		if err := os.Symlink(file, link); err != nil {
			return fmt.Errorf("system root: %w", err)
		}
	}
	return nil
}
