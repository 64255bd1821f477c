package connectortest

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

// Subject describes a connector to the suite. Each function makes a connector of its own, whose parts end
// with the test's cleanup.
type Subject struct {
	// New makes the connector in a world that works.
	New func(t testing.TB) Rig
	// Stalled makes it in a world that takes what it is sent and never answers: a listener that does not
	// read, a locked table. Only a connector that waits for nobody goes without.
	Stalled func(t testing.TB) Rig
	// Slow makes it in a world whose answers never come to an end. nil: answers have no length.
	Slow func(t testing.TB) Rig
	// Broken makes it in worlds, by name, in which no wanted event can be passed on. A connector that
	// cannot fail has none.
	Broken map[string]func(t testing.TB) Rig
	// Secrets are what the connector knows in these worlds and what no error may hold: keys, passwords,
	// the parts of an address that let somebody in.
	Secrets []string
	// Silent are event types that the connector wants and that leave nothing to see.
	Silent []event.Type
	// Unordered says that the world cannot tell which run had an effect, nor which effect came first, as
	// a counter cannot.
	Unordered bool
}

// Rig is one connector and the world that it reports to.
type Rig struct {
	Connector connectors.RuntimeConnector
	// Event makes an event of the suite's one that the world knows: of a tenant or run that exists, with
	// a receiver. It leaves Seq, Type, At and Data alone. nil: any event will do.
	Event func(e connectors.Event) connectors.Event
	// Effects gives what the world has received so far, in the order in which it came. Repeats that the
	// receiver recognises by a key it was sent are left out. nil: nothing can be seen from outside.
	Effects func() []Effect
}

// Effect is what an event has left in the world.
type Effect struct {
	RunID uuid.UUID // uuid.Nil in a world that is Unordered
	Type  event.Type
}

// Run runs the suite, each check as a subtest.
func Run(t *testing.T, s Subject) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

type check struct {
	name string
	run  func(t testing.TB, s Subject)
}

// checks lists the suite.
func checks() []check {
	return []check{
		{"name", checkName},
		{"declaration", checkDeclaration},
		{"hooks", checkHooks},
		{"order", checkOrder},
		{"repeat", checkRepeat},
		{"untouched", checkUntouched},
		{"pace", checkPace},
		{"cancellation", checkCancellation},
		{"time-out", checkTimeOut},
		{"slow remote", checkSlowRemote},
		{"failure", checkFailure},
		{"secrets", checkSecrets},
		{"panics", checkPanics},
		{"garbage", checkGarbage},
		{"concurrency", checkConcurrency},
	}
}

// wants is what the connector declares; one that declares nothing is remote and wants every event. That
// Wants panics is found by the check of the declaration.
func wants(c connectors.RuntimeConnector, e connectors.Event) (wanted bool) {
	d, ok := c.(connectors.Declarer)
	return !ok || recovered(func() { wanted = d.Wants(e) }) == nil && wanted
}

func inline(c connectors.RuntimeConnector) bool {
	d, ok := c.(connectors.Declarer)
	return ok && d.Mode() == connectors.Inline
}

// leaves reports whether a told event is to be seen in the world.
func (s Subject) leaves(e connectors.Event) bool { return !slices.Contains(s.Silent, e.Type) }
