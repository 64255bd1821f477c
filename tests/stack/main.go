// Command stack runs another command beside a throw-away Postgres and Temporal:
//
//	go run ./tests/stack [-keep] [-some] -- go test ./...
//
// The command finds them in LARI_TEST_DATABASE_URL and LARI_TEST_TEMPORAL_ADDRESS; if both are set already
// it just runs. Its exit status is ours. Without a command the two variables are printed as export lines
// and the stack runs until Ctrl-C. With -keep the children's logs stay in a folder that is named at the end. With -some
// the command is a go test that is to run some test: one that finds none fails.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	keep := flag.Bool("keep", false, "keep the logs of Postgres and Temporal")
	some := flag.Bool("some", false, "fail when the command, a go test, finds no test to run")
	flag.Parse()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	var out io.Writer = os.Stdout
	var seen packages
	if *some {
		out = io.MultiWriter(os.Stdout, &seen)
	}
	code, err := run(*keep, flag.Args(), out, signals)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if *some && code == 0 && !seen.ran() {
		fmt.Fprintln(os.Stderr, "no test was run: no name matches, or no package has tests")
		code = 1
	}
	os.Exit(code)
}
