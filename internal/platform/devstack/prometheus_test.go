package devstack

import (
	"testing"
)

// The first time on a machine it is unpacked here; afterwards it is found.
func TestPrometheusIsPrepared(t *testing.T) {
	t.Parallel()
	p, err := EnsurePrometheus(t.Context(), nil)
	must(t, err)
	must(t, p.check(t.Context()))
	again, err := EnsurePrometheus(t.Context(), nil)
	must(t, err)
	if again != p {
		t.Errorf("it is in %v and then in %v", p, again)
	}
}

func TestPrometheusVersions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"promtool, version 2.42.0+ds (branch: debian/sid)": true, "prometheus, version 2.53.3": true, "prometheus, version 3.1.0": true,
		"prometheus, version 2.41.9": false, "prometheus, version 1.99.0": false, "": false, "prometheus, version 2": false,
	} {
		if got := recentPrometheus(text); got != want {
			t.Errorf("%q: recent is %v", text, got)
		}
	}
}

func TestNoPrometheus(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := findPrometheus(t.Context(), newProgress(nil), &cache{dir: openFolder(t)})
	mustExplain(t, err, "Prometheus 2.42", "apt-get", "on PATH")
}
