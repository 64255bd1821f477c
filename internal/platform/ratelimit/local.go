package ratelimit

import (
	"sync/atomic"
	"time"
)

// localBucket is a bucket of this process alone (Generic Cell Rate Algorithm): all that has to be known is when it is
// full again.
type localBucket struct{ fullAt atomic.Int64 }

// take takes a request out of the bucket, which fills as lari.rate_of says for the limit.
func (b *localBucket) take(now time.Duration, limit int) Decision {
	burst := max(limit/burstShare, 1)
	every := Window * 61 / 60 / time.Duration(limit-burst+1)
	room := time.Duration(burst) * every
	for {
		fullAt := b.fullAt.Load()
		next := max(time.Duration(fullAt), now) + every
		if next-now > room {
			return Decision{Limit: limit, Retry: next - now - room, Reset: next - every - now}
		}
		if b.fullAt.CompareAndSwap(fullAt, int64(next)) {
			return Decision{Allowed: true, Limit: limit, Remaining: int((room - (next - now)) / every), Reset: next - now}
		}
	}
}

// burstShare is the part of a limit that passes at once: four seconds' share.
const burstShare = 15
