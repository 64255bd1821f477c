package devstack

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// apt runs Debian's package tools over private lists, so that neither root nor the system's own lists are
// needed and nothing is installed.
type apt struct {
	dir  string
	args []string
}

// newApt makes private lists from the sources.
func newApt(dir string, types string, sources []aptSource) (*apt, error) {
	for _, sub := range []string{"parts", "lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o750); err != nil {
			return nil, fmt.Errorf("private apt lists: %w", err)
		}
	}
	var text strings.Builder
	for _, s := range sources {
		text.WriteString(s.paragraph(types))
	}
	if err := os.WriteFile(filepath.Join(dir, "parts", "lari.sources"), []byte(text.String()), 0o600); err != nil {
		return nil, fmt.Errorf("private apt sources: %w", err)
	}
	a := &apt{dir: dir}
	for _, option := range []string{
		"Dir::Etc::SourceList=/dev/null", "Dir::Etc::SourceParts=" + filepath.Join(dir, "parts"),
		"Dir::State::Lists=" + filepath.Join(dir, "lists"), "Dir::Cache=" + filepath.Join(dir, "archives"),
		"Dir::Cache::Archives=" + filepath.Join(dir, "archives") + "/",
		"APT::Sandbox::User=", // root's apt would otherwise switch to a user that cannot enter the folder
		"Acquire::Languages=none", "Acquire::Retries=2", "Acquire::http::Timeout=30", "Acquire::https::Timeout=30",
	} {
		a.args = append(a.args, "-o", option)
	}
	return a, nil
}

// run gives the standard output; the error carries apt's own complaint.
func (a *apt) run(ctx context.Context, tool, workDir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, tool, slices.Concat(a.args, args)...) //nolint:gosec // fixed programs
	cmd.Dir = workDir
	return runQuietly(cmd)
}

// update fetches the lists. apt calls a partly failed update a success, so what it complained of is given
// for the case that a package is missing afterwards.
func (a *apt) update(ctx context.Context) (warning string, err error) {
	cmd := exec.CommandContext(ctx, "apt-get", slices.Concat(a.args, []string{"-qq", "update"})...) //nolint:gosec // fixed program
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("apt-get update: %w: %s", err, complaint(string(text)))
	}
	return complaint(string(text)), nil
}

// runQuietly gives a command's standard output; the error ends with the line that explains the failure.
func runQuietly(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 2 * time.Second // a cancelled make may leave a compiler that holds our pipes
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, complaint(stderr.String()))
	}
	return stdout.String(), nil
}

// complaint picks the line that says why: the last error of apt, gcc or make, else the last line.
func complaint(text string) string {
	last, chosen := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		last = line
		if strings.HasPrefix(line, "E: ") || strings.Contains(line, "error:") || strings.Contains(line, "Failed to fetch") {
			chosen = line
		}
	}
	if chosen != "" {
		return chosen
	}
	return last
}

// download puts packages into a folder.
func (a *apt) download(ctx context.Context, dir string, packages ...string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("package folder: %w", err)
	}
	_, err := a.run(ctx, "apt-get", dir, slices.Concat([]string{"-qq", "download"}, packages)...)
	return err
}

// unpack opens every package of a folder into a tree, running none of their scripts.
func unpack(ctx context.Context, dir, tree string) error {
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return fmt.Errorf("list packages: %w", err)
	}
	for _, file := range packages {
		if _, err := runQuietly(exec.CommandContext(ctx, "dpkg", "-x", file, tree)); err != nil { //nolint:gosec // fixed program
			return err
		}
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("remove unpacked package: %w", err)
		}
	}
	return nil
}

// has reports whether the lists offer a package.
func (a *apt) has(ctx context.Context, name string) bool {
	text, err := a.run(ctx, "apt-cache", a.dir, "show", "--no-all-versions", name)
	return err == nil && strings.Contains(text, "Filename:")
}

// closure gives the packages that the given ones need, directly or through others, of those that wanted
// lets in.
func (a *apt) closure(ctx context.Context, wanted func(name string) bool, roots ...string) ([]string, error) {
	text, err := a.run(ctx, "apt-cache", a.dir, slices.Concat([]string{
		"depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances",
	}, roots)...)
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{}
	current := ""
	scanner := bufio.NewScanner(strings.NewReader(text))
	for scanner.Scan() {
		line := scanner.Text()
		if !strings.HasPrefix(line, " ") {
			current = line
			continue
		}
		if _, name, ok := strings.Cut(line, "Depends: "); ok {
			needs[current] = append(needs[current], strings.TrimSpace(name))
		}
	}
	var found []string
	queue := slices.Clone(roots)
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		for _, name := range needs[next] {
			if wanted(name) && !slices.Contains(found, name) && !slices.Contains(roots, name) {
				found = append(found, name)
				queue = append(queue, name)
			}
		}
	}
	return found, nil
}

// isSharedLibrary leaves out the C library, which is every system's own, and LLVM, which serves only the
// JIT compiler that we switch off.
func isSharedLibrary(name string) bool {
	return strings.HasPrefix(name, "lib") && name != "libc6" && !strings.HasPrefix(name, "libllvm")
}
