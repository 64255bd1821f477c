package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// errUsage reports that the arguments were wrong; what is wrong has been printed.
var errUsage = errors.New("usage")

// errHelp reports that help was asked for and printed.
var errHelp = errors.New("help")

// newFlags returns the flags of a subcommand. arguments is what follows them in its usage line, about says what the
// subcommand does.
func newFlags(name, arguments, about string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // parseMixed prints, help to standard output and errors to standard error
	flags.Usage = func() {
		out := flags.Output()
		usage := "Usage: lari " + name
		if hasFlags(flags) {
			usage += " [FLAGS]"
		}
		fmt.Fprintf(out, "%s\n\n%s\n", strings.TrimRight(usage+" "+arguments, " "), about)
		if hasFlags(flags) {
			fmt.Fprint(out, "\nFlags:\n")
			flags.PrintDefaults()
		}
	}
	return flags
}

func hasFlags(flags *flag.FlagSet) bool {
	found := false
	flags.VisitAll(func(*flag.Flag) { found = true })
	return found
}

// parse reads the flags of a subcommand that takes no further arguments.
func parse(flags *flag.FlagSet, args []string) error {
	rest, err := parseMixed(flags, args)
	if err == nil && len(rest) > 0 {
		fmt.Fprintf(os.Stderr, "lari %[1]s takes no argument %[2]q; lari %[1]s -h shows what it takes\n", flags.Name(), rest[0])
		return errUsage
	}
	return err
}

// parseMixed reads flags that stand before, between and after the other arguments, and returns these. What follows
// "--" is no flag. It returns errHelp after printing help and errUsage after naming what is wrong.
func parseMixed(flags *flag.FlagSet, args []string) (rest []string, err error) {
	var literal []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, literal = args[:i], args[i+1:]
	}
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, refuse(flags, err)
		}
		args = flags.Args()
		if len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return append(rest, literal...), nil
}

func refuse(flags *flag.FlagSet, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(os.Stdout)
		flags.Usage()
		return errHelp
	}
	fmt.Fprintf(os.Stderr, "lari %[1]s: %[2]v; lari %[1]s -h shows what it takes\n", flags.Name(), err)
	return errUsage
}
