package stream_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/stream"
)

// The time in these tests is that of a bubble: it passes when every goroutine in it waits.

func TestReplayAndLiveAreOneWithoutASeam(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, count := newHub(j)
		j.append(3*stream.PageSize+7, false)
		var readers []*reader
		for _, after := range []int64{0, 1, stream.PageSize - 1, stream.PageSize, 3 * stream.PageSize, 3*stream.PageSize + 7} {
			readers = append(readers, follow(t.Context(), h, j, after, nil))
		}
		for range 50 {
			h.Publish(j.key, j.append(3, false))
		}
		h.Publish(j.key, j.append(1, true))
		for _, r := range readers {
			<-r.done
			if r.wantAll(t, j); r.err != nil {
				t.Errorf("after the final entry: %v", r.err)
			}
		}
		if h.Topics() != 0 || count.opened.Load() != 6 || count.closed.Load() != 6 {
			t.Errorf("%d topics are left, %d readers came, %d went", h.Topics(), count.opened.Load(), count.closed.Load())
		}
	})
}

func TestAnEndedLogEndsTheReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		j.append(stream.PageSize, true) // exactly a page
		r := follow(t.Context(), h, j, 0, nil)
		<-r.done
		r.wantAll(t, j)
		if r.err != nil || j.reads.Load() != 1 {
			t.Errorf("%d reads, error %v", j.reads.Load(), r.err)
		}
	})
}

func TestALogGrownElsewhereIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		h.Connected()
		r := follow(t.Context(), h, j, 0, nil)
		synctest.Wait()
		began := time.Now()
		for range 5 {
			h.Grown(j.key, j.append(2, false)[1].position)
			synctest.Wait()
			r.wantAll(t, j)
		}
		h.Grown(j.key, j.append(600, true)[599].position)
		<-r.done
		r.wantAll(t, j)
		if took := time.Since(began); took != 0 {
			t.Errorf("the reader waited for %s", took)
		}
	})
}

// A page that was read before the commit must not be taken for the truth by a reader that heard of the
// commit afterwards.
func TestAReaderDoesNotShareAReadOlderThanItsNews(t *testing.T) {
	t.Parallel()
	for name, news := range map[string]func(h *stream.Hub[entry], j *journal){
		"grown":     func(h *stream.Hub[entry], j *journal) { h.Grown(j.key, 3) },
		"connected": func(h *stream.Hub[entry], _ *journal) { h.Connected() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := newJournal()
				j.gate = make(chan struct{})
				h, _ := newHub(j)
				h.Connected()
				j.append(2, false)
				ctx, leave := context.WithCancel(t.Context())
				early := follow(ctx, h, j, 2, nil) // has looked, its answer is on the way
				synctest.Wait()
				j.append(1, true)
				news(h, j)
				late := follow(t.Context(), h, j, 2, nil)
				synctest.Wait()
				leave() // so that it cannot find the final entry for the other
				<-early.done
				close(j.gate)
				began := time.Now()
				<-late.done
				late.wantAll(t, j)
				if took := time.Since(began); took != 0 {
					t.Errorf("the final entry came %s late", took)
				}
			})
		})
	}
}

func TestLostNotificationsAreMadeGoodByConnecting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		h.Connected()
		r := follow(t.Context(), h, j, 0, nil)
		synctest.Wait()
		j.append(5, false) // nobody says so
		synctest.Wait()
		if n := len(r.positions()); n != 0 {
			t.Fatalf("%d entries came although nobody spoke of them", n)
		}
		h.Connected()
		synctest.Wait()
		r.wantAll(t, j)

		h.Disconnected()
		synctest.Wait()
		began := time.Now()
		j.append(5, true)
		<-r.done
		r.wantAll(t, j)
		if took := time.Since(began); took > time.Second {
			t.Errorf("a deaf hub looked only after %s", took)
		}
	})
}

func TestASilentLogIsLookedAtNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		h.Connected()
		r := follow(t.Context(), h, j, 0, nil)
		began := time.Now()
		synctest.Wait()
		j.append(1, true)
		<-r.done
		r.wantAll(t, j)
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("a notification that was lost for ever cost %s", took)
		}
	})
}

func TestASlowReaderDelaysNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, count := newHub(j)
		stuck := make(chan struct{})
		slow := follow(t.Context(), h, j, 0, func() { <-stuck })
		fast := follow(t.Context(), h, j, 0, nil)
		synctest.Wait()
		began := time.Now()
		for range 100 {
			h.Publish(j.key, j.append(20, false))
			synctest.Wait()
		}
		h.Publish(j.key, j.append(1, true))
		<-fast.done
		fast.wantAll(t, j)
		if took := time.Since(began); took != 0 || len(slow.positions()) != 0 {
			t.Errorf("the fast reader took %s", took)
		}
		// Its first 20 are on their way to it, and count as not sent until they have been taken.
		if readers, entries := h.Behind(); readers != 1 || entries != j.head {
			t.Errorf("%d readers are %d entries behind, want one and all %d", readers, entries, j.head)
		}
		before := count.deliveredLogs.Load()
		close(stuck)
		<-slow.done
		slow.wantAll(t, j)
		if readers, entries := h.Behind(); readers != 0 || entries != 0 {
			t.Errorf("%d readers are %d entries behind when all are gone", readers, entries)
		}
		if count.deliveredLogs.Load() == before {
			t.Error("the slow reader was not served from the log although the tail had moved on")
		}
	})
}

func TestAReaderThatKeepsUpNeedsNoLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		r := follow(t.Context(), h, j, 0, nil)
		for range 500 {
			synctest.Wait()
			h.Publish(j.key, j.append(3, false))
			h.Grown(j.key, j.head)
		}
		h.Publish(j.key, j.append(1, true))
		<-r.done
		r.wantAll(t, j)
		if reads := j.reads.Load(); reads != 1 {
			t.Errorf("%d reads", reads)
		}
	})
}

func TestWhatWasCompactedIsNoGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		j.append(1000, false)
		j.compact(func(p int64) bool { return p > 3 && p < 400 || p%2 == 0 && p < 900 })
		readers := []*reader{
			follow(t.Context(), h, j, 0, nil), follow(t.Context(), h, j, 5, nil), follow(t.Context(), h, j, 399, nil), follow(t.Context(), h, j, 950, nil),
		}
		synctest.Wait()
		h.Publish(j.key, j.append(10, true))
		for _, r := range readers {
			<-r.done
			r.wantAll(t, j)
		}
	})
}

func TestAnUnavailableLogIsAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		j.append(10, false)
		j.down.Store(true)
		r := follow(t.Context(), h, j, 0, nil)
		leaver, leave := context.WithCancel(t.Context())
		left := follow(leaver, h, j, 0, nil)
		time.Sleep(time.Minute) // of the bubble
		if reads := j.reads.Load(); reads < 25 || reads > 100 {
			t.Errorf("%d reads in a minute without a log", reads)
		}
		leave()
		<-left.done
		if !errors.Is(left.err, context.Canceled) {
			t.Errorf("a reader that left during the pause got %v", left.err)
		}
		j.down.Store(false)
		h.Publish(j.key, j.append(5, true))
		<-r.done
		if r.wantAll(t, j); r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestAReadThatIsRefusedEndsTheReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		r := &reader{}
		if err := h.Follow(t.Context(), stream.Key{Log: uuid.New()}, 0, r.send); err == nil || h.Topics() != 0 {
			t.Errorf("error %v, %d topics", err, h.Topics())
		}
	})
}

// A notification may speak of entries that the log does not hold (the run was removed).
func TestAHeadWithoutEntriesIsNotChased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, _ := newHub(j)
		h.Connected()
		ctx, leave := context.WithCancel(t.Context())
		r := follow(ctx, h, j, 0, nil)
		synctest.Wait()
		h.Grown(j.key, 50)
		synctest.Wait()
		if reads := j.reads.Load(); reads != 2 { // one at the start, one for the news
			t.Errorf("%d reads", reads)
		}
		h.Grown(j.key, 51)
		synctest.Wait()
		if reads := j.reads.Load(); reads != 3 {
			t.Errorf("%d reads after further news", reads)
		}
		for range 10 {
			h.Publish(j.key, j.append(1, false))
			synctest.Wait()
		}
		if r.wantAll(t, j); j.reads.Load() != 3 {
			t.Errorf("%d reads while the tail had all", j.reads.Load())
		}
		leave()
		<-r.done
	})
}

func TestReadersAtOnePositionShareARead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const readers, pages = 100, 4
		j := newJournal()
		j.gate = make(chan struct{})
		h, count := newHub(j)
		j.append(pages*stream.PageSize, true)
		var all []*reader
		for range readers {
			all = append(all, follow(t.Context(), h, j, 0, nil))
		}
		for range pages {
			synctest.Wait() // everybody waits for a read
			for range j.reads.Load() {
				select {
				case j.gate <- struct{}{}:
				default:
				}
			}
		}
		close(j.gate)
		for _, r := range all {
			<-r.done
			r.wantAll(t, j)
		}
		if reads := j.reads.Load(); reads > 3*pages {
			t.Errorf("%d reads of %d pages for %d readers", reads, pages, readers)
		}
		if n := count.delivered.Load(); n != readers*pages*stream.PageSize {
			t.Errorf("%d entries were counted as delivered", n)
		}
	})
}

func TestASendThatFailsEndsOnlyThatReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newJournal()
		h, count := newHub(j)
		stays := follow(t.Context(), h, j, 0, nil)
		gone := errors.New("the peer is gone")
		var once sync.WaitGroup
		var err error
		once.Go(func() { err = h.Follow(t.Context(), j.key, 0, func([]entry) error { return gone }) })
		synctest.Wait()
		h.Publish(j.key, j.append(1, false))
		once.Wait()
		if !errors.Is(err, gone) || h.Topics() != 1 || count.closed.Load() != 1 {
			t.Errorf("error %v, %d topics, %d closed", err, h.Topics(), count.closed.Load())
		}
		h.Publish(j.key, j.append(1, true))
		<-stays.done
		stays.wantAll(t, j)
		if h.Topics() != 0 {
			t.Error("the last reader left and the topic stayed")
		}
	})
}

func TestNobodyFollowsNothingIsKept(t *testing.T) {
	t.Parallel()
	j := newJournal()
	h, _ := newHub(j)
	h.Publish(j.key, j.append(5, false))
	h.Grown(j.key, 5)
	h.Connected()
	if h.Topics() != 0 || j.reads.Load() != 0 {
		t.Errorf("%d topics, %d reads", h.Topics(), j.reads.Load())
	}
}
