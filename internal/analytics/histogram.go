package analytics

// buckets of a histogram, as lari.latency_bucket has them: below 16 ms, then one for each doubling, the last
// without an end.
const (
	histogramBuckets = 24
	firstBound       = 16 // ms
)

// histogram is how long things took.
type histogram struct {
	n, sum, max int64 // of milliseconds
	counts      [histogramBuckets]int64
}

func (h *histogram) add(o *histogram) {
	h.n, h.sum, h.max = h.n+o.n, h.sum+o.sum, max(h.max, o.max)
	for i, c := range o.counts {
		h.counts[i] += c
	}
}

// bounds gives where a bucket begins and ends, in milliseconds.
func bounds(bucket int) (low, high int64) {
	if bucket > 0 {
		low = firstBound << (bucket - 1)
	}
	return low, firstBound << bucket
}

// quantile is linear within a bucket, as histogram_quantile of Prometheus is, but never more than the longest
// time that there was.
func (h *histogram) quantile(q float64) int64 {
	rank, below := q*float64(h.n), 0.0
	for i, c := range h.counts {
		if c == 0 || below+float64(c) < rank {
			below += float64(c)
			continue
		}
		low, high := bounds(i)
		if high > h.max || i == histogramBuckets-1 {
			high = max(h.max, low)
		}
		return low + int64(float64(high-low)*(rank-below)/float64(c)+0.5)
	}
	return h.max
}

// Timing is how long something took, in milliseconds; without any, only the count is there. Quantiles are
// estimates from buckets that double in length.
type Timing struct {
	Count int64  `json:"count" required:"true" description:"How many were measured."`
	AvgMS *int64 `json:"avg_ms" required:"true"`
	P50MS *int64 `json:"p50_ms" required:"true"`
	P90MS *int64 `json:"p90_ms" required:"true"`
	P95MS *int64 `json:"p95_ms" required:"true"`
	P99MS *int64 `json:"p99_ms" required:"true"`
	MaxMS *int64 `json:"max_ms" required:"true"`
}

func (h *histogram) timing() Timing {
	if h.n == 0 {
		return Timing{}
	}
	quantile := func(q float64) *int64 {
		ms := h.quantile(q)
		return &ms
	}
	avg, longest := (h.sum+h.n/2)/h.n, h.max
	return Timing{
		Count: h.n, AvgMS: &avg, P50MS: quantile(0.5), P90MS: quantile(0.9), P95MS: quantile(0.95), P99MS: quantile(0.99), MaxMS: &longest,
	}
}
