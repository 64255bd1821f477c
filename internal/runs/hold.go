package runs

import (
	"github.com/larirun/lari/internal/platform/clock"
)

// Hold is why a queued run is not started yet. A held run takes no slot of its tenant and has no workflow:
// it is a row that Release looks at when its reason may be gone.
type Hold string

// Why a run is held.
const (
	HoldDelay  Hold = "delay"  // its time has not come
	HoldThread Hold = "thread" // another run is active on its thread
	HoldPause  Hold = "pause"  // its tenant or the platform is paused
	HoldQuota  Hold = "quota"  // its tenant has used up a quota
)

// Held says why a run is not started yet, and since when.
type Held struct {
	By Hold
	At clock.Time
}

// OnBusy is what becomes of a run whose thread has an active one.
type OnBusy string

// The strategies for a busy thread, as LangGraph names them ("double texting").
const (
	BusyReject    OnBusy = "reject"    // it is refused with fault.ThreadBusy
	BusyEnqueue   OnBusy = "enqueue"   // it waits for those before it
	BusyInterrupt OnBusy = "interrupt" // the active run is stopped; what it said stays
	BusyRollback  OnBusy = "rollback"  // the active run is stopped and its messages leave the thread
)
