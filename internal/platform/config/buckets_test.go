package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	c := load(t, map[string]string{"LARI_METRICS_BUCKETS_HTTP": " 0.005, 10ms,.25,1s ,1h", "LARI_METRICS_NATIVE_FACTOR": "1.05"})
	if want := (Buckets{5 * time.Millisecond, 10 * time.Millisecond, 250 * time.Millisecond, time.Second, time.Hour}); !slices.Equal(c.Metrics.Buckets.HTTP, want) {
		t.Errorf("the bounds are %v", c.Metrics.Buckets.HTTP)
	}
	if text := c.Metrics.Buckets.HTTP.String(); text != "0.005,0.01,0.25,1,3600" || c.Metrics.NativeFactor != 1.05 {
		t.Errorf("they are shown as %s", text)
	}
	many := make([]string, 41)
	for i := range many {
		many[i] = time.Duration(i + 1).String()
	}
	for text, want := range map[string]string{
		"1,1": "ascending", "5,2": "ascending", "1s,900ms": "ascending", "NaN": "above 0", "+Inf": "above 0", "1,Inf": "above 0", "-1": "above 0", "0": "above 0",
		"0s": "above 0", "1e300": "above 0", "1ns,31d": "list of seconds", "721h": "above 0", "1,,2": "list of seconds", "a": "list of seconds", ",": "list of seconds",
		strings.Join(many, ","): "at most 40", "1e-12": "above 0",
	} {
		refused := refusal(t, map[string]string{"LARI_METRICS_BUCKETS_RUN_DURATION": text})
		if len(refused.Fields) != 1 || refused.Fields[0].Field != "LARI_METRICS_BUCKETS_RUN_DURATION" || !strings.Contains(refused.Fields[0].Message, want) {
			t.Errorf("%q is refused with %+v, want %q", text, refused.Fields, want)
		}
	}
	for name, text := range map[string]string{
		"LARI_METRICS_NATIVE_FACTOR": "1", "LARI_METRICS_NATIVE_BUCKETS": "5", "LARI_METRICS_MAX_MODELS": "0", "LARI_METRICS_MAX_TOOLS": "many", "LARI_METRICS_MAX_ACTIVE_RUNS": "-1",
	} {
		if refused := refusal(t, map[string]string{name: text}); len(refused.Fields) != 1 || refused.Fields[0].Field != name {
			t.Errorf("%s=%s is refused with %+v", name, text, refused.Fields)
		}
	}
}
