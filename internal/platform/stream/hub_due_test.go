package stream_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/larirun/lari/internal/platform/stream"
)

// What this process announced to itself is not read: it is published; and when it is not, it is read soon.
func TestWhatIsDueIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		h.Connected()
		r := follow(t.Context(), h, j, 0, nil)
		synctest.Wait()
		reads := j.reads.Load()
		for range 5 {
			written := j.append(2, false)
			h.Expect(j.key, written[1].position)
			synctest.Wait()
			h.Publish(j.key, written)
			h.Expect(j.key, written[1].position)
			synctest.Wait()
			r.wantAll(t, j)
		}
		if n := j.reads.Load() - reads; n != 0 {
			t.Errorf("%d reads of the log for what was published", n)
		}
		began := time.Now()
		h.Expect(j.key, j.append(2, true)[1].position)
		<-r.done
		r.wantAll(t, j)
		if took := time.Since(began); took != stream.PublishWithin {
			t.Errorf("the reader waited for %s", took)
		}
	})
}
