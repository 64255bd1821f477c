package tools

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/larirun/lari/internal/platform/storable"
)

type outcome struct {
	text string
	err  error
}

// contain runs a call and always sends its outcome: a panic, and an exit of the goroutine, become
// errors that hold the stack.
func contain(done chan<- outcome, call func() (string, error)) {
	out := outcome{err: errors.New("the tool ended its goroutine")}
	defer func() {
		if v := recover(); v != nil {
			out = outcome{err: fmt.Errorf("panic: %v\n%s", v, debug.Stack())}
		}
		done <- out
	}()
	out.text, out.err = call()
}

// bound cuts text to limit bytes, between two runes, and says so at its end. The limit must leave room
// for the note of about 60 bytes.
func bound(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	note := fmt.Sprintf("\n[cut: this is the beginning of %d bytes]", len(text))
	return storable.Truncate(text, limit-len(note)) + note
}
