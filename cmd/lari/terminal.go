package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/larirun/lari/internal/event"
)

// terminal shows a run to a person: its text apart from what is said about it.
type terminal struct {
	text, notes io.Writer
}

// runError reports that a run ended without completing.
type runError struct{ text string }

func (e *runError) Error() string { return e.text }

// note writes beside the text. A failure to write it is of no consequence.
func (t *terminal) note(format string, args ...any) { _, _ = fmt.Fprintf(t.notes, format, args...) }

// show writes what a person wants to see of an event. It returns a runError for the end of a run that did not complete,
// and the error of a text that could not be written.
func (t *terminal) show(e event.Event) error {
	var d struct {
		Text, Name, Result, Error, Message, Reason string
		Arguments                                  json.RawMessage
	}
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	var err error
	switch e.Type {
	case event.MessageDelta:
		_, err = io.WriteString(t.text, d.Text)
	case event.MessageCompleted:
		_, err = fmt.Fprintln(t.text)
	case event.ToolCallStarted:
		t.note("→ %s %s\n", d.Name, d.Arguments)
	case event.AttemptRestarted:
		t.note("\n(the worker was replaced: the text begins again)\n")
	case event.ApprovalRequested:
		t.note("waiting for the approval of %s %s\n", d.Name, d.Arguments)
	case event.RunError:
		err = &runError{"the run failed: " + d.Message}
	case event.RunCancelled:
		err = &runError{oneSentence("the run was cancelled", d.Reason)}
	case event.RunStarted, event.RunProgress, event.RunCompleted, event.ToolCallCompleted, event.ApprovalResolved, event.MessageReceived,
		event.ReasoningDelta:
	}
	return err
}
