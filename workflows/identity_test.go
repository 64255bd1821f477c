package workflows_test

import (
	"testing"

	"github.com/larirun/lari/workflows"
)

func TestWorkerIdentities(t *testing.T) {
	t.Parallel()
	process, version, ok := workflows.ParseWorkerIdentity(workflows.WorkerIdentity("a@host", 17, "1.4.0"))
	if process != "a@host/17" || version != "1.4.0" || !ok {
		t.Errorf("%q %q %t", process, version, ok)
	}
	for _, strange := range []string{"", "17@host", "host/17", "host/17@", "@1"} {
		if _, _, ok := workflows.ParseWorkerIdentity(strange); ok {
			t.Errorf("%q is taken for one of ours", strange)
		}
	}
}
