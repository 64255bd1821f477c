package docs

import (
	"os"
	"strings"
	"testing"

	"github.com/larirun/lari/workflows"
)

func TestOperations_NamesEveryTaskQueueAndSchedule(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(workflows.Queues(), workflows.ReconcileScheduleID, "<tenant id>/schedule/<id>") {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/operations.md does not name %s", name)
		}
	}
}
