package runs_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/storable"
	"github.com/larirun/lari/internal/runs"
)

// Why a run ended may come from Temporal's own tools, where anybody types it.
func TestRun_KeepsTheReasonOfAForeignEnd(t *testing.T) {
	t.Parallel()
	for _, o := range []runs.Outcome{
		{Status: runs.Cancelled, Message: "enough\x00" + strings.Repeat("é", 5000)},
		{Status: runs.Failed, Code: event.ErrorTerminated, Message: "enough\x00\xff" + strings.Repeat("é", 5000)},
	} {
		r := runs.Run{ID: uuid.New(), Status: runs.Running}
		if _, err := r.Finish(o, "", clock.Now()); err != nil {
			t.Fatal(err)
		}
		kept := ""
		if r.Cancel != nil {
			kept = r.Cancel.Reason
		} else {
			kept = r.Error.Message
		}
		if !storable.IsText(kept) || len(kept) > 2000 || !strings.HasPrefix(kept, "enough\uFFFD") {
			t.Errorf("%s keeps %d bytes: %.40q", o.Status, len(kept), kept)
		}
	}
}
