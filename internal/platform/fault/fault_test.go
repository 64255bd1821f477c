package fault_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

// The list that edges are tested against must be the list that is declared.
func TestCodesListsEveryDeclaredCode(t *testing.T) {
	t.Parallel()
	declared := declaredCodes(t)
	if len(declared) == 0 {
		t.Fatal("no constants of type Code were found in fault.go")
	}
	if got := fault.Codes(); !slices.Equal(got, declared) {
		t.Errorf("Codes() gives %v, declared are %v", got, declared)
	}
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[fault.Code]bool{}
	for _, code := range fault.Codes() {
		if !snake.MatchString(string(code)) {
			t.Errorf("%q is not in snake case", code)
		}
		if seen[code] {
			t.Errorf("%q is listed twice", code)
		}
		seen[code] = true
	}
}

func declaredCodes(t *testing.T) []fault.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []fault.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Code" {
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, fault.Code(text))
			}
		}
		return true
	})
	return codes
}

func TestEveryCodeSurvivesWrapping(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		cause := errors.New("secret cause")
		for name, err := range map[string]error{
			"new":             fault.New(code, "it is %s", "so"),
			"wrapped":         fault.Wrap(cause, code, "it is %s", "so"),
			"wrapped further": fmt.Errorf("while doing: %w", fault.Wrap(cause, code, "it is %s", "so")),
			"joined":          errors.Join(errors.New("another"), fault.New(code, "it is %s", "so")),
		} {
			if got := fault.CodeOf(err); got != code {
				t.Errorf("%s %s: the code is %q", name, code, got)
			}
			if !fault.Is(err, code) {
				t.Errorf("%s %s: Is says no", name, code)
			}
			for _, other := range fault.Codes() {
				if other != code && fault.Is(err, other) {
					t.Errorf("%s %s: Is says it is %s", name, code, other)
				}
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Detail != "it is so" {
				t.Errorf("%s %s: the detail is %q", name, code, f.Detail)
			}
		}
	}
}

func TestTheOutermostCodeCounts(t *testing.T) {
	t.Parallel()
	err := fault.Wrap(fault.New(fault.NotFound, "no row"), fault.Internal, "it should be there")
	if got := fault.CodeOf(err); got != fault.Internal {
		t.Errorf("the code is %q", got)
	}
}

func TestOtherErrorsAreInternal(t *testing.T) {
	t.Parallel()
	for _, err := range []error{io.EOF, context.Canceled, fmt.Errorf("wrapped: %w", io.EOF)} {
		if got := fault.CodeOf(err); got != fault.Internal {
			t.Errorf("%v has the code %q", err, got)
		}
	}
	if got := fault.CodeOf(nil); got != "" {
		t.Errorf("no error has the code %q", got)
	}
	if fault.Is(nil, "") || fault.Is(nil, fault.Internal) {
		t.Error("no error is of a code")
	}
}

// Detail is for callers, the cause for logs: one must not slip into the other.
func TestTheCauseIsLoggedAndNotShown(t *testing.T) {
	t.Parallel()
	err := fault.Wrap(io.ErrUnexpectedEOF, fault.Unavailable, "The database cannot be reached.")
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause cannot be reached")
	}
	if got, want := err.Error(), "unavailable: The database cannot be reached.: unexpected EOF"; got != want {
		t.Errorf("Error() is %q, want %q", got, want)
	}
	if strings.Contains(err.Detail, "EOF") {
		t.Errorf("the detail shows the cause: %q", err.Detail)
	}
	plain := fault.New(fault.Conflict, "no")
	if got, want := plain.Error(), "conflict: no"; got != want {
		t.Errorf("Error() is %q, want %q", got, want)
	}
	if plain.Unwrap() != nil {
		t.Error("an error without a cause has one")
	}
}

func TestInvalidFieldNamesItsInput(t *testing.T) {
	t.Parallel()
	err := fault.InvalidField("budget.max_steps", "min", "must be at least %d", 1)
	want := fault.Field{Field: "budget.max_steps", Rule: "min", Message: "must be at least 1"}
	if err.Code != fault.Invalid || len(err.Fields) != 1 || err.Fields[0] != want {
		t.Errorf("got %+v", err)
	}
	if got, want := err.Detail, "budget.max_steps must be at least 1"; got != want {
		t.Errorf("the detail is %q, want %q", got, want)
	}
}

func TestAfterSetsTheWait(t *testing.T) {
	t.Parallel()
	err := fault.New(fault.RateLimited, "slow down")
	if err.RetryAfter != 0 {
		t.Errorf("a wait of %s was made up", err.RetryAfter)
	}
	if got := err.After(3 * time.Second); got != err || err.RetryAfter != 3*time.Second {
		t.Errorf("got %+v", got)
	}
}
