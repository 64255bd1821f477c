package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Buckets are the upper bounds of a histogram's buckets.
type Buckets []time.Duration

const (
	maxBounds = 40
	maxBound  = 30 * 24 * time.Hour
)

// Seconds gives the bounds as histograms have them.
func (b Buckets) Seconds() []float64 {
	out := make([]float64, len(b))
	for i, bound := range b {
		out[i] = bound.Seconds()
	}
	return out
}

// String gives the bounds in seconds.
func (b Buckets) String() string {
	parts := make([]string, len(b))
	for i, seconds := range b.Seconds() {
		parts[i] = strconv.FormatFloat(seconds, 'f', -1, 64)
	}
	return strings.Join(parts, ",")
}

// parseBuckets reads seconds, or durations with a unit.
func parseBuckets(text string, field *Buckets) error {
	var out Buckets
	for part := range strings.SplitSeq(text, ",") {
		bound, err := parseBound(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		if n := len(out); n > 0 && bound <= out[n-1] {
			return fmt.Errorf("must give its bounds in ascending order: %s stands after %s", bound, out[n-1])
		}
		out = append(out, bound)
	}
	if len(out) > maxBounds {
		return fmt.Errorf("must give at most %d bounds, not %d: each is a series of every label", maxBounds, len(out))
	}
	*field = out
	return nil
}

func parseBound(text string) (time.Duration, error) {
	bound, err := time.ParseDuration(text)
	if seconds, number := strconv.ParseFloat(text, 64); number == nil {
		if !(seconds > 0 && seconds <= maxBound.Seconds()) { // also what is not a number
			return 0, fmt.Errorf("must give bounds above 0 and up to %.0f seconds, unlike %q; that of +Inf is there anyway", maxBound.Seconds(), text)
		}
		bound, err = time.Duration(seconds*float64(time.Second)+0.5), nil
	}
	switch {
	case err != nil:
		return 0, errors.New("must be a list of seconds or durations, separated by commas, such as 0.1,0.5,1 or 100ms,500ms,1s")
	case bound <= 0 || bound > maxBound:
		return 0, fmt.Errorf("must give bounds above 0 and up to %s, unlike %q", maxBound, text)
	}
	return bound, nil
}
