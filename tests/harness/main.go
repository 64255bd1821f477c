package harness

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// WithoutLeaks is a TestMain that runs the tests and gives the exit status: a failure when a goroutine of any
// process outlives them.
func WithoutLeaks(m *testing.M) int {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if code != 0 {
		return code
	}
	err := goleak.Find(
		// Both live for as long as fasthttp sees fit after its server has stopped, and hold nothing of ours.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
