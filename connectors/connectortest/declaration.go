package connectortest

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

var validName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// checkName: the name is part of idempotency keys and workflow ids, which outlive the process.
func checkName(t testing.TB, s Subject) {
	r := s.New(t)
	name := r.Connector.Name()
	if !validName.MatchString(name) {
		t.Errorf("the name %q does not match %s", name, validName)
	}
	for _, typ := range hooked() {
		if e := r.single(t, typ); wants(r.Connector, e) {
			r.tell(t.Context(), e, patience)
		}
		if again := r.Connector.Name(); again != name {
			t.Errorf("the name was %q and is %q after %s", name, again, typ)
			return
		}
	}
	if other := s.New(t).Connector.Name(); other != name {
		t.Errorf("the same connector is named %q and, made again, %q", name, other)
	}
}

const (
	// Wants has no context: it must not wait. A look into memory takes less than a microsecond, the
	// shortest way to another process and back more than 50.
	wantsLimit   = 50 * time.Microsecond
	wantsBatch   = 200
	wantsBatches = 5
)

// checkDeclaration: Wants is asked when the event is announced and never again, so that an answer that
// varies is an event lost.
func checkDeclaration(t testing.TB, s Subject) {
	worlds := []func(testing.TB) Rig{s.New}
	if s.Stalled != nil {
		worlds = append(worlds, s.Stalled)
	}
	for _, world := range worlds {
		r := world(t)
		d, ok := r.Connector.(connectors.Declarer)
		if !ok {
			return // remote, and every event
		}
		mode, wanted := d.Mode(), 0
		if mode != connectors.Inline && mode != connectors.Remote {
			t.Errorf("the mode is %d", mode)
		}
		for _, typ := range event.Types() {
			e := connectors.Event{}
			if typ.Hook() == event.HookNone {
				e.Type = typ
			} else if e = r.single(t, typ); d.Wants(e) {
				wanted++
			}
			if !steady(t, d, mode, e) {
				return
			}
		}
		if wanted == 0 {
			t.Errorf("it wants none of the events that the suite makes")
		}
	}
}

// steady reports whether Mode and Wants say the same each time and without waiting.
func steady(t testing.TB, d connectors.Declarer, mode connectors.Mode, e connectors.Event) bool {
	t.Helper()
	first, best := d.Wants(e), time.Hour
	for range wantsBatches {
		began := time.Now()
		for range wantsBatch {
			if d.Mode() != mode {
				t.Errorf("the mode changes")
				return false
			}
			if d.Wants(e) != first {
				t.Errorf("Wants(%s) gives now this and now that answer for the same event", e.Type)
				return false
			}
		}
		best = min(best, time.Since(began)/wantsBatch)
	}
	if best > wantsLimit {
		t.Errorf("Wants(%s) takes %s: it must not do I/O", e.Type, best)
		return false
	}
	for name, data := range odd() {
		e.Data = data
		if p := recovered(func() { d.Wants(e) }); p != nil {
			t.Errorf("Wants(%s) with data that is %s panicked: %v", e.Type, name, p)
			return false
		}
	}
	return true
}

func recovered(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

// checkUntouched: all connectors of a process are given the same event.
func checkUntouched(t testing.TB, s Subject) {
	r := s.New(t)
	for _, typ := range hooked() {
		e := r.single(t, typ)
		if !wants(r.Connector, e) {
			continue
		}
		data, metadata := slices.Clone(e.Data), slices.Clone(e.Metadata)
		workspace, thread := e.WorkspaceID, e.ThreadID
		var workspaceWas, threadWas any
		if workspace != nil {
			workspaceWas = *workspace
		}
		if thread != nil {
			threadWas = *thread
		}
		r.tell(t.Context(), e, patience)
		if string(data) != string(e.Data) || string(metadata) != string(e.Metadata) {
			t.Errorf("%s: the event's bytes were changed: %s, %s", typ, clip(e.Data), clip(e.Metadata))
		}
		if workspace != nil && any(*workspace) != workspaceWas || thread != nil && any(*thread) != threadWas {
			t.Errorf("%s: the event's ids were changed", typ)
		}
	}
}

func clip(data json.RawMessage) string { return string(data[:min(len(data), 200)]) }
