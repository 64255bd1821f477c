package connectortest

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/larirun/lari/connectors"
)

// Each flaw is found by the checks that are there for it and by no other. Time is the bubble's own: a
// connector that hangs for an hour costs nothing.
func TestEveryFlawIsFoundByItsCheck(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for name, f := range flaws() {
		for _, check := range f.found {
			found[check] = true
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				failed := verdicts(t, func() Subject { return subject(f.does) })
				var names []string
				for _, c := range checks() {
					if len(failed[c.name]) > 0 {
						names = append(names, c.name)
					}
				}
				if !slices.Equal(names, f.found) {
					t.Errorf("found by %q, want %q\n%v", names, f.found, failed)
				}
			})
		})
	}
	for _, c := range checks() {
		if !found[c.name] {
			t.Errorf("no flaw is found by the check %q: is it of use?", c.name)
		}
	}
}

// A subject that leaves out what its connector needs is not a pass.
func TestAnIncompleteSubjectFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		remote := func(s *specimen) { s.mode = func() connectors.Mode { return connectors.Remote } }
		failed := verdicts(t, func() Subject {
			s := subject(remote)
			s.Stalled = nil
			return s
		})
		if len(failed) != 1 || len(failed["cancellation"]) != 1 {
			t.Errorf("without Stalled: %v", failed)
		}
		failed = verdicts(t, func() Subject {
			s := subject(remote)
			s.Broken = nil
			return s
		})
		if len(failed) != 1 || len(failed["failure"]) != 1 {
			t.Errorf("without Broken: %v", failed)
		}
	})
}

// What cannot be seen is not asked for.
func TestASubjectMaySeeLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		blind := subject(func(*specimen) {})
		open := blind.New
		blind.New = func(t testing.TB) Rig {
			r := open(t)
			r.Effects = nil
			return r
		}
		for name, s := range map[string]Subject{"blind": blind, "unordered": {New: open, Unordered: true}} {
			if failed := verdicts(t, func() Subject { return s }); len(failed) > 0 {
				t.Errorf("%s: %v", name, failed)
			}
		}
	})
}

// Run is what others call: a sound connector passes it, check by check.
func TestRunPassesASoundConnector(t *testing.T) {
	t.Parallel()
	Run(t, subject(func(*specimen) {}))
}

// verdicts runs each check by itself and gives what those that failed said.
func verdicts(t *testing.T, s func() Subject) map[string][]string {
	t.Helper()
	failed := map[string][]string{}
	for _, c := range checks() {
		j := &jury{TB: t}
		done := make(chan struct{})
		go func() { // Fatal ends its goroutine
			defer close(done)
			defer func() {
				if p := recover(); p != nil {
					j.say(fmt.Sprintf("the suite itself panicked: %v", p))
				}
			}()
			c.run(j, s())
		}()
		<-done
		if said := j.said(); len(said) > 0 {
			failed[c.name] = said
		}
	}
	return failed
}

// jury is a testing.TB that keeps what is said against the subject.
type jury struct {
	testing.TB

	mu       sync.Mutex
	failures []string
}

func (j *jury) say(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failures = append(j.failures, text)
}

func (j *jury) said() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.failures)
}

func (j *jury) Errorf(format string, args ...any) { j.say(fmt.Sprintf(format, args...)) }
func (j *jury) Error(args ...any)                 { j.say(fmt.Sprint(args...)) }
func (j *jury) Fail()                             { j.say("failed") }

func (j *jury) Fatalf(format string, args ...any) {
	j.Errorf(format, args...)
	j.FailNow()
}

func (j *jury) Fatal(args ...any) {
	j.Error(args...)
	j.FailNow()
}

func (j *jury) FailNow() { runtime.Goexit() }
