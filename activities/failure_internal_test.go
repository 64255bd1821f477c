package activities

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/llm"
)

func TestTranslate_FailuresCanBeSentToTheEngine(t *testing.T) {
	t.Parallel()
	raw := errors.New("malformed MIME header line: \xff\x00")
	for name, err := range map[string]error{
		"a fault":      fault.Wrap(raw, fault.Unavailable, "it said \xff"),
		"a model":      &llm.Error{Class: llm.ClassOverloaded, Detail: "\xff", Cause: raw},
		"a defect":     fmt.Errorf("read: %w", raw),
		"interruption": fmt.Errorf("%w: \xff", context.Canceled),
	} {
		failure := temporal.GetDefaultFailureConverter().ErrorToFailure(translate(err))
		if _, err := proto.Marshal(failure); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTranslate_ValuesThatCannotBeStoredAreNotTriedAgain(t *testing.T) {
	t.Parallel()
	var failure *temporal.ApplicationError
	if err := translate(fault.New(fault.Invalid, "A value cannot be stored.")); !errors.As(err, &failure) || !failure.NonRetryable() {
		t.Errorf("%v is tried again", err)
	}
}

func TestBounded_UsageFitsItsColumns(t *testing.T) {
	t.Parallel()
	for in, want := range map[llm.Usage]llm.Usage{
		{InputTokens: 5, OutputTokens: 7}:                  {InputTokens: 5, OutputTokens: 7},
		{InputTokens: -5, OutputTokens: 7}:                 {OutputTokens: 7, Estimated: true},
		{InputTokens: 1 << 62, OutputTokens: -(1 << 62)}:   {InputTokens: maxStepTokens, Estimated: true},
		{InputTokens: 1, OutputTokens: 1, Estimated: true}: {InputTokens: 1, OutputTokens: 1, Estimated: true},
	} {
		if got := bounded(in); got != want {
			t.Errorf("%+v becomes %+v, want %+v", in, got, want)
		}
	}
}

func TestLabel_FitsASummary(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"http_get": "http_get", "a\x00<é>": "a????", "": ""} {
		if got := label(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
