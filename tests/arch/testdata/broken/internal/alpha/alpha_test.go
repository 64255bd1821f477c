package alpha_test

import (
	"testing"
	"testing/synctest"
	"time"

	"example.org/broken/internal/beta" // want imports
	"example.org/broken/internal/platform/postgres/pgtest"
	"example.org/broken/tests/perf"
)

var counter int

func TestTime(t *testing.T) {
	time.Sleep(time.Second) // want sleep
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		inside()
	})
	_ = "select id from runs"
	panic("in a test")
}

func inside() { further{}.inside() }

type further struct{}

func (further) inside() { time.Sleep(time.Hour) }

func outside() {
	time.Sleep(time.Hour) // want sleep
}
