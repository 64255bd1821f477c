// Command gotool prints the path of a Go program at a pinned version, which it builds into the cache of
// this user the first time:
//
//	"$(go run ./tests/gotool github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0)" run
//
// Progress goes to standard error, so that standard output is the path and nothing else.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/larirun/lari/internal/platform/devstack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	path, err := find(ctx, os.Args[1:])
	if err != nil {
		stop()
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}

func find(ctx context.Context, args []string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("usage: gotool MODULE@VERSION")
	}
	module, version, pinned := strings.Cut(args[0], "@")
	if !pinned || !strings.HasPrefix(version, "v") {
		return "", fmt.Errorf("%s: a pinned version (@v1.2.3) is needed, so that every machine has the same tool", args[0])
	}
	return devstack.EnsureGoTool(ctx, os.Stderr, module, version)
}
