package devstack

import "fmt"

// Trouble is a failure that a person at the terminal can do something about. Error() is one sentence that
// says what is wrong and a way out; the cause stays reachable to errors.Is and errors.As.
type Trouble struct {
	Sentence string
	cause    error
}

func trouble(cause error, format string, args ...any) *Trouble {
	return &Trouble{Sentence: fmt.Sprintf(format, args...), cause: cause}
}

// Error gives the sentence.
func (t *Trouble) Error() string { return t.Sentence }

// Unwrap gives the cause, nil when there is none.
func (t *Trouble) Unwrap() error { return t.cause }
