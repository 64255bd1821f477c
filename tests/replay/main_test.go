package replay

import (
	"flag"
	"os"
	"testing"

	"go.temporal.io/sdk/worker"
)

// record makes the tests write the histories of what they run to testdata. Do so when a way in which a run
// goes is new; an old history is kept as long as a run that began with it may be alive.
var record = flag.Bool("record", false, "write the histories of the scenarios to testdata/histories")

func TestMain(m *testing.M) {
	flag.Parse()
	worker.SetStickyWorkflowCacheSize(0) // each workflow task replays its run from the beginning
	os.Exit(m.Run())
}
