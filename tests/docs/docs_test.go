// Package docs runs the commands of the pages for users and compares what they print with the pages.
package docs

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/devstack"
	"github.com/larirun/lari/tests/harness"
)

// program is the built cmd/lari.
var program string

var update = flag.Bool("update", false, "write what the commands print into the pages")

func TestMain(m *testing.M) { os.Exit(harness.WithProgram(m, &program)) }

func TestFirstAgent_PrintsWhatThePageSays(t *testing.T) {
	t.Parallel()
	const path = "../../docs/first-agent.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	s := harness.NewSystem(t)
	s.Spawn(t, program, "dev", "LARI_DATA_DIR="+filepath.Join(folder, ".lari"), "LARI_LOG_LEVEL=info",
		"SUPABASE_JWT_SECRET=", "OPENAI_API_KEY=", "OPENAI_BASE_URL=")
	if err := os.Mkdir(filepath.Join(folder, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"lari": program, "jq": jq(t)} {
		if err := os.Symlink(to, filepath.Join(folder, "bin", link)); err != nil {
			t.Fatal(err)
		}
	}
	steps := stepsOf(string(page))
	if len(steps) < 10 {
		t.Fatalf("%d commands found on the page", len(steps))
	}
	printed := run(t, folder, steps)
	for i, s := range steps {
		if printed[i] != s.output && !*update {
			t.Errorf("line %d of the page:\n%s\nprints\n%s\nand the page says\n%s", s.line, s.command, printed[i], s.output)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(replaced(string(page), printed)), 0o600); err != nil { //nolint:gosec // G703: the page of this repository
			t.Fatal(err)
		}
	}
}

// jq returns a jq: the machine's, else one written in Go, which is built once.
func jq(t *testing.T) string {
	t.Helper()
	if found, err := exec.LookPath("jq"); err == nil {
		return found
	}
	built, err := devstack.EnsureGoTool(t.Context(), os.Stderr, "github.com/itchyny/gojq/cmd/gojq", "v0.12.17")
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// step is a block of commands and the block of their output behind it.
type step struct {
	command, output string
	line            int // of the command's block
}

var blocks = regexp.MustCompile("(?ms)^```sh\n(.*?)^```\n```\n(.*?)^```\n")

func stepsOf(page string) []step {
	var steps []step
	for _, at := range blocks.FindAllStringSubmatchIndex(page, -1) {
		steps = append(steps, step{page[at[2]:at[3]], page[at[4]:at[5]], strings.Count(page[:at[2]], "\n") + 1})
	}
	return steps
}

// replaced returns the page with other outputs.
func replaced(page string, outputs []string) string {
	i := -1
	return blocks.ReplaceAllStringFunc(page, func(block string) string {
		i++
		return "```sh\n" + blocks.FindStringSubmatch(block)[1] + "```\n```\n" + outputs[i] + "```\n"
	})
}

// run runs the commands one after the other in one shell and returns what each printed.
func run(t *testing.T, folder string, steps []step) []string {
	t.Helper()
	const mark = "----- end of step"
	var script strings.Builder
	for i, s := range steps {
		fmt.Fprintf(&script, "%s\necho '%s %d'\n", s.command, mark, i)
	}
	var out, errs bytes.Buffer
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute) // a command that waits for ever is to be named, not to end the suite
	defer stop()
	cmd := exec.CommandContext(ctx, "bash", "-s") //nolint:gosec // the page's own commands
	cmd.WaitDelay = time.Second
	cmd.Dir = folder
	cmd.Env = []string{"PATH=" + filepath.Join(folder, "bin") + ":" + os.Getenv("PATH"), "HOME=" + folder}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script.String()), &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Fatalf("the commands: %v\n%s%s", err, out.String(), errs.String())
	}
	var printed []string
	rest := out.String()
	for i := range steps {
		one, after, found := strings.Cut(rest, fmt.Sprintf("%s %d\n", mark, i))
		if !found {
			t.Fatalf("the shell ended after %d steps: %s", i, rest)
		}
		printed, rest = append(printed, one), after
	}
	return printed
}
