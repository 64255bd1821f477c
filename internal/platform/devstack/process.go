package devstack

import (
	"syscall"
	"time"
)

// ProcessSpec says which program to run under supervision, and how.
type ProcessSpec struct {
	Name   string // of its log file
	Path   string
	Args   []string
	Env    []string // name=value; all of it
	LogDir string
	Stop   time.Duration // how long it may take to stop before it is killed
}

// Process is a program of ours beside Postgres and Temporal. It never outlives us.
type Process struct{ child *child }

// StartProcess starts a program; its output goes to LogDir.
func StartProcess(spec ProcessSpec) (*Process, error) {
	c, err := startChild(childSpec{
		name: spec.Name, path: spec.Path, args: spec.Args, env: spec.Env, logDir: spec.LogDir,
		orphanSignal: syscall.SIGTERM, stops: []stopStep{{syscall.SIGTERM, spec.Stop}},
	})
	if err != nil {
		return nil, err
	}
	return &Process{c}, nil
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.child.process.Pid }

// LogPath is where its output goes.
func (p *Process) LogPath() string { return p.child.logPath }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.child.exited }

// Ending says how it ended, with the last lines of its output if there are any; call it after Exited.
func (p *Process) Ending() string {
	if said := lastLines(p.child.logPath, 5); said != "" {
		return p.child.ending() + "\n" + said
	}
	return p.child.ending()
}

// Close ends the process, politely and then firmly, and returns when it is gone.
func (p *Process) Close() { p.child.stop() }
