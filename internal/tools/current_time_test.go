package tools

import (
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

func TestCurrentTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 31, 22, 30, 0, 999, time.UTC)
	tool := registered(t, Limits{}, NewCurrentTime(func() time.Time { return at }))
	for arguments, want := range map[[2]string]string{
		{}:                            `{"time":"2026-03-31T22:30:00Z","timezone":"UTC","weekday":"Tuesday"}`,
		{"timezone", "UTC"}:           `{"time":"2026-03-31T22:30:00Z","timezone":"UTC","weekday":"Tuesday"}`,
		{"timezone", "Asia/Jakarta"}:  `{"time":"2026-04-01T05:30:00+07:00","timezone":"Asia/Jakarta","weekday":"Wednesday"}`,
		{"timezone", "Europe/Berlin"}: `{"time":"2026-04-01T00:30:00+02:00","timezone":"Europe/Berlin","weekday":"Wednesday"}`,
	} {
		values := map[string]string{}
		if arguments[0] != "" {
			values[arguments[0]] = arguments[1]
		}
		if got, err := call(t, tool, values); err != nil || got != want {
			t.Errorf("%v: %s, %v; want %s", arguments, got, err, want)
		}
	}
	for _, zone := range []string{"Local", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a\x00b", "+07:00", strings.Repeat("A", 65)} {
		if got, err := call(t, tool, map[string]string{"timezone": zone}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q gives %s, %v", zone, got, err)
		}
	}
}
