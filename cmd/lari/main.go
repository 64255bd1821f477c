// Command lari runs AI agents durably on Temporal; see README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/larirun/lari/internal/platform/fault"
)

// command is a subcommand; each lives in a file of its own.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, args []string) error
}

func commands() []command {
	return []command{
		{"dev", "run everything on this machine: Postgres, Temporal, API and worker", dev},
		{"api", "serve the HTTP API", serveAPI},
		{"worker", "execute runs", work},
		{"migrate", "apply the migrations that are missing", migrate},
		{"bootstrap", "make the first tenant, its owner and an API key", bootstrap},
		{"token", "print a token signed with the development secret", token},
		{"run", "start, watch or cancel a run from this terminal", run},
		{"version", "print the version", printVersion},
	}
}

// errInterrupted reports that Ctrl-C ended a run that this terminal had started.
var errInterrupted = errors.New("interrupted")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // stopping takes its time; a second signal ends us at once
	err := dispatch(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil, errors.Is(err, errHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case errors.Is(err, errInterrupted):
		os.Exit(130) // as shells report a program that Ctrl-C ended
	default:
		fmt.Fprintln(os.Stderr, "lari:", describe(err))
		os.Exit(1)
	}
}

// describe returns an error as a sentence for the operator, who may see causes, without codes.
func describe(err error) string {
	var coded *fault.Error
	if !errors.As(err, &coded) {
		return err.Error()
	}
	cause := errors.Unwrap(coded)
	if cause == nil {
		return coded.Detail
	}
	return strings.TrimSuffix(coded.Detail, ".") + ": " + cause.Error()
}

func dispatch(ctx context.Context, args []string) error {
	all := commands()
	if len(args) == 0 {
		return errors.Join(showUsage(os.Stderr, all), errUsage)
	}
	name, rest := args[0], args[1:]
	switch name {
	case "-h", "-help", "--help", "help":
		if len(rest) == 0 || name != "help" {
			return showUsage(os.Stdout, all)
		}
		name, rest = rest[0], []string{"-h"}
	case "-v", "-version", "--version":
		name = "version"
	}
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		fmt.Fprintf(os.Stderr, "lari: there is no command %q\n\n", name)
		return errors.Join(showUsage(os.Stderr, all), errUsage)
	}
	return all[i].run(ctx, rest)
}

func showUsage(to io.Writer, all []command) error {
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "Usage: lari COMMAND [ARGUMENTS]; lari help COMMAND shows what it takes.")
	fmt.Fprintln(out)
	for _, c := range all {
		fmt.Fprintf(out, "  %s\t%s\n", c.name, c.summary)
	}
	return out.Flush()
}
