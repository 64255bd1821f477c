// Command stack runs another command beside a throw-away Postgres and Temporal:
//
//	go run ./tests/stack [-keep] -- go test ./...
//
// The command finds them in LARI_TEST_DATABASE_URL and LARI_TEST_TEMPORAL_ADDRESS; if both are set already
// it just runs. Its exit status is ours. Without a command the two variables are printed as export lines
// and the stack runs until Ctrl-C. With -keep the children's logs stay in a folder that is named at the end.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	keep := flag.Bool("keep", false, "keep the logs of Postgres and Temporal")
	flag.Parse()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code, err := run(*keep, flag.Args(), signals)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}
