package devstack

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// childSpec says how to run one supervised process.
type childSpec struct {
	name       string
	path       string
	args       []string
	env        []string
	dir        string
	logDir     string
	credential *syscall.Credential
	// orphanSignal reaches the child when we are killed; where the kernel has no such thing, the next
	// start finds the child by its pid.
	orphanSignal syscall.Signal
	// stops are sent in turn, each with the time to wait for it; SIGKILL follows the last.
	stops []stopStep
}

type stopStep struct {
	signal syscall.Signal
	wait   time.Duration
}

// child is a running process with one owner goroutine, which ends with the process.
type child struct {
	spec    childSpec
	process *os.Process
	logPath string
	exited  chan struct{} // closed when the process is gone and reaped
	err     error         // how it ended; read after exited
}

// startChild starts the process in its own process group, its output in a fresh log file.
func startChild(spec childSpec) (*child, error) {
	log, err := openLog(spec.logDir, spec.name)
	if err != nil {
		return nil, err
	}
	c := &child{spec: spec, logPath: log.Name(), exited: make(chan struct{})}
	cmd := exec.Command(spec.path, spec.args...) //nolint:gosec // our own tools; a child outlives the context that started it
	cmd.Env, cmd.Dir = spec.env, spec.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes(spec)
	started := make(chan error, 1)
	go c.own(cmd, log, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.name, err)
	}
	return c, nil
}

// own starts the process and waits for it on one locked thread: Linux delivers the parent-death signal
// when the starting THREAD ends, so that thread has to live as long as the child.
func (c *child) own(cmd *exec.Cmd, log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	_ = log.Close() // the child has its own descriptor
	if err != nil {
		started <- err
		return
	}
	c.process = cmd.Process
	started <- nil
	c.err = cmd.Wait()
	close(c.exited)
}

// stop ends the process: politely, then firmly. It returns when the process is gone.
func (c *child) stop() {
	for _, step := range c.spec.stops {
		if err := c.process.Signal(step.signal); err != nil { // gone already
			break
		}
		timer := time.NewTimer(step.wait)
		select {
		case <-c.exited:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
	if c.process.Signal(syscall.SIGKILL) == nil {
		_ = syscall.Kill(-c.process.Pid, syscall.SIGKILL) // and whatever it started itself
	}
	<-c.exited
}

// ending says how an exited child ended.
func (c *child) ending() string {
	if c.err == nil {
		return "exit status 0"
	}
	return c.err.Error()
}
