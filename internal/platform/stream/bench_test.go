package stream_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/larirun/lari/internal/platform/stream"
)

// BenchmarkPublish measures what a writer pays for each delta that a thousand readers follow, and the
// time until all have it.
func BenchmarkPublish(b *testing.B) {
	for _, readers := range []int{0, 1, 1000} {
		b.Run(fmt.Sprintf("followers=%d", readers), func(b *testing.B) {
			j := newJournal()
			h, _ := newHub(j)
			var got atomic.Int64
			var following sync.WaitGroup
			ready := make(chan struct{}, readers)
			for range readers {
				following.Go(func() {
					first := true
					_ = h.Follow(b.Context(), j.key, 0, func(batch []entry) error {
						if first {
							first = false
							ready <- struct{}{}
						}
						got.Add(int64(len(batch)))
						return nil
					})
				})
			}
			h.Publish(j.key, j.append(1, false))
			for range readers {
				<-ready
			}
			b.ReportAllocs()
			for b.Loop() {
				h.Publish(j.key, j.append(1, false))
			}
			published := b.Elapsed()
			h.Publish(j.key, j.append(1, true))
			following.Wait()
			b.ReportMetric(float64(got.Load())/max(1, float64(b.N)), "deliveries/op")
			b.ReportMetric(float64(published.Nanoseconds())/float64(b.N), "publish-ns/op")
		})
	}
}

// BenchmarkAppender measures the group commit without a database.
func BenchmarkAppender(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			var batches atomic.Int64
			a := stream.NewAppender(func(context.Context, []item) error {
				batches.Add(1)
				return nil
			})
			ctx, cancel := context.WithCancel(b.Context())
			var running sync.WaitGroup
			running.Go(func() { a.Run(ctx) })
			b.ReportAllocs()
			b.SetParallelism(writers)
			b.RunParallel(func(pb *testing.PB) {
				var ticket *stream.Ticket
				for n := 0; pb.Next(); n++ {
					var err error
					if ticket, err = a.Add(ctx, item{n: n}); err != nil {
						b.Error(err)
						return
					}
				}
				if ticket != nil {
					if err := ticket.Wait(ctx); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(max(batches.Load(), 1)), "items/flush")
			cancel()
			running.Wait()
		})
	}
}
