package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/larirun/lari/internal/platform/devstack"
)

const (
	databaseVariable = "LARI_TEST_DATABASE_URL"
	temporalVariable = "LARI_TEST_TEMPORAL_ADDRESS"
)

// run gives the exit status: the command's, or 1 with the reason why there was none.
func run(keep bool, command []string, out io.Writer, signals <-chan os.Signal) (int, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := stopRequests(ctx, signals)
	if os.Getenv(databaseVariable) != "" && os.Getenv(temporalVariable) != "" && len(command) > 0 {
		return runCommand(command, nil, out, stop, nil)
	}
	stack, err := start(ctx, keep, stop)
	if err != nil {
		return 1, err
	}
	defer func() { _ = stack.Close() }()
	if len(command) > 0 {
		variables := []string{databaseVariable + "=" + stack.DatabaseURL, temporalVariable + "=" + stack.TemporalAddress}
		return runCommand(command, variables, out, stop, stack.Done())
	}
	fmt.Printf("export %s='%s'\nexport %s='%s'\n", databaseVariable, stack.DatabaseURL, temporalVariable, stack.TemporalAddress)
	select {
	case <-stop:
		return 0, nil
	case err := <-stack.Done():
		return 1, err
	}
}

// start brings the stack up; a signal meanwhile gives it up.
func start(ctx context.Context, keep bool, stop <-chan os.Signal) (*devstack.Stack, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		stack *devstack.Stack
		err   error
	}
	started := make(chan outcome, 1)
	go func() {
		stack, err := devstack.Start(ctx, devstack.Config{Out: os.Stderr, Ephemeral: true, Keep: keep})
		started <- outcome{stack, err}
	}()
	select {
	case o := <-started:
		return o.stack, o.err
	case <-stop:
		cancel()
		if o := <-started; o.stack != nil {
			_ = o.stack.Close()
		}
		return nil, errors.New("interrupted")
	}
}

// stopRequests passes signals on, and adds a SIGTERM when our parent dies: `go run` itself is ended by a
// SIGTERM that it does not hand down.
func stopRequests(ctx context.Context, signals <-chan os.Signal) <-chan os.Signal {
	stop := make(chan os.Signal, 1)
	parent := os.Getppid()
	go func() {
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for {
			var s os.Signal
			select {
			case <-ctx.Done():
				return
			case s = <-signals:
			case <-ticker.C:
				if os.Getppid() == parent {
					continue
				}
				s = syscall.SIGTERM
				ticker.Stop()
			}
			select {
			case stop <- s:
			case <-ctx.Done():
				return
			}
		}
	}()
	return stop
}

// runCommand runs the command on our terminal, its standard output going to out, and hands signals down.
func runCommand(command, variables []string, out io.Writer, stop <-chan os.Signal, lost <-chan error) (int, error) {
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // running the given command is the purpose; signals end it
	cmd.Env = append(os.Environ(), variables...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, os.Stderr
	if err := cmd.Start(); err != nil {
		return 127, fmt.Errorf("run %s: %w", command[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return exitStatus(err)
		case s := <-stop:
			if s != syscall.SIGINT || !terminalTellsCommand() {
				_ = cmd.Process.Signal(s)
			}
		case err, ok := <-lost:
			if ok {
				fmt.Fprintln(os.Stderr, err)
			}
			lost = nil
		}
	}
}

// terminalTellsCommand reports whether a Ctrl-C reaches the command without us, as one of the terminal's
// foreground group.
func terminalTellsCommand() bool {
	foreground, err := unix.IoctlGetInt(int(os.Stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}

func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), nil
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return 1, err
	default:
		return 1, fmt.Errorf("wait for the command: %w", err)
	}
}
