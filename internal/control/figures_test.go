package control_test

import (
	"testing"
	"time"

	"github.com/larirun/lari/internal/control"
)

// The figures are of both kinds of tasks, and count each worker that still asks once.
func TestFigures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queues["runs"] = control.Queue{
		Workflows:  control.Backlog{Tasks: 2, OldestWait: 1500 * time.Millisecond, AddRate: 1},
		Activities: control.Backlog{Tasks: 3, OldestWait: 700 * time.Millisecond, AddRate: 2, DispatchRate: .5},
		Pollers:    []control.Poller{poller("h1/1@2", "2", 0), poller("h1/1@2", "2", time.Second), poller("h2/1@2", "2", 3*time.Second), poller("h3/1@1", "1", 2*time.Minute)},
	}
	all := w.FindFigures(t.Context())
	if len(all) != 2 || all[0] != (control.QueueFigures{
		Name: "runs", Workers: 2, Backlog: control.Backlog{Tasks: 5, OldestWait: 1500 * time.Millisecond, AddRate: 3, DispatchRate: .5},
	}) || all[1] != (control.QueueFigures{Name: "connectors"}) {
		t.Errorf("%+v", all)
	}
	away := newWorld(t)
	away.away.Store(true)
	if all := away.FindFigures(t.Context()); len(all) != 0 {
		t.Errorf("of an engine that is away: %+v", all)
	}
}
