package pace_test

import (
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/larirun/lari/tests/pace"
)

// Beside other programs a thread gets less of a processor, and the watch counts less.
func TestWatch_TakesOffWhatOthersUse(t *testing.T) {
	t.Parallel()
	var others []*exec.Cmd
	for range 4 * runtime.NumCPU() {
		busy := exec.CommandContext(t.Context(), "sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			t.Fatal(err)
		}
		others = append(others, busy)
	}
	w, began := pace.Start(t), time.Now()
	for sum := 0; time.Since(began) < 2*time.Second; sum++ { // so that this process wants a processor too
	}
	wall, took := time.Since(began), w.Took()
	for _, busy := range others {
		_ = busy.Process.Kill()
		_ = busy.Wait()
	}
	if took > wall*2/3 {
		t.Errorf("%s by the watch, %s by the clock, beside four busy processes for each processor", took, wall)
	}
}

func TestWatch_IsNeverAheadOfTheClock(t *testing.T) {
	t.Parallel()
	began := time.Now()
	w := pace.Start(t)
	if took := w.Took(); took <= 0 || took > time.Since(began) {
		t.Errorf("it says %s", took)
	}
}
