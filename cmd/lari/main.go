// Command lari runs AI agents durably on Temporal; see README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
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
		{"token", "print a token signed with the development secret", token},
		{"run", "start, watch or cancel a run from this terminal", run},
		{"version", "print the version", printVersion},
	}
}

// errUsage says that the arguments were wrong and that what is right has been printed.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // stopping takes its time; a second signal ends us at once
	err := dispatch(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "lari:", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	all := commands()
	if len(args) == 0 {
		return usage(all)
	}
	i := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		return usage(all)
	}
	return all[i].run(ctx, args[1:])
}

func usage(all []command) error {
	out := tabwriter.NewWriter(os.Stderr, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "Usage: lari COMMAND [ARGUMENTS]; lari COMMAND -h tells more.")
	fmt.Fprintln(out)
	for _, c := range all {
		fmt.Fprintf(out, "  %s\t%s\n", c.name, c.summary)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return errUsage
}
