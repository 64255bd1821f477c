package api

import (
	"fmt"
	"runtime/debug"
)

// panicError is a contained panic with the stack that it came from.
type panicError struct {
	value any
	stack []byte
}

func newPanicError(value any) *panicError { return &panicError{value: value, stack: debug.Stack()} }

// Error gives value and stack, for logs.
func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }
