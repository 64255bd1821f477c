package event_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/storable"
)

// hooks is DESIGN's table: which connector method an event reaches. The last column of what is final.
func hooks() map[event.Type]event.Hook {
	return map[event.Type]event.Hook{
		event.RunStarted: event.HookStart, event.RunProgress: event.HookProgress,
		event.RunCompleted: event.HookComplete, event.RunError: event.HookError, event.RunCancelled: event.HookCancel,
		event.MessageDelta: event.HookNone, event.ReasoningDelta: event.HookNone, event.MessageCompleted: event.HookNone,
		event.ToolCallStarted: event.HookNone, event.ToolCallCompleted: event.HookNone,
		event.ApprovalRequested: event.HookNone, event.ApprovalResolved: event.HookNone,
		event.MessageReceived: event.HookNone, event.AttemptRestarted: event.HookNone,
	}
}

func TestEveryTypeReachesItsHook(t *testing.T) {
	t.Parallel()
	want := hooks()
	for _, typ := range event.Types() {
		hook, listed := want[typ]
		if !listed {
			t.Errorf("%s is in no row of the table", typ)
		}
		if got := typ.Hook(); got != hook {
			t.Errorf("%s reaches %q, want %q", typ, got, hook)
		}
	}
	if got := event.Type("invented").Hook(); got != event.HookNone {
		t.Errorf("an invented type reaches %q", got)
	}
}

func TestThreeTypesEndALog(t *testing.T) {
	t.Parallel()
	final := []event.Type{event.RunCompleted, event.RunError, event.RunCancelled}
	for _, typ := range event.Types() {
		want := slices.Contains(final, typ)
		if typ.Final() != want || (event.Event{Type: typ}).Final() != want {
			t.Errorf("%s: final is %v, want %v", typ, typ.Final(), want)
		}
	}
}

// The lists that others range over must be the lists that are declared.
func TestListsAreWhole(t *testing.T) {
	t.Parallel()
	if got, want := texts(event.Types()), declared(t, "event.go", "Type"); !slices.Equal(got, want) {
		t.Errorf("Types() gives %v, declared are %v", got, want)
	}
	if got, want := texts(event.ErrorCodes()), declared(t, "payload.go", "ErrorCode"); !slices.Equal(got, want) {
		t.Errorf("ErrorCodes() gives %v, declared are %v", got, want)
	}
}

func texts[T ~string](list []T) []string {
	var all []string
	for _, v := range list {
		all = append(all, string(v))
	}
	return all
}

// declared gives the constants of a type in the order in which the file declares them.
func declared(t *testing.T, name, typ string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typ {
			for _, v := range spec.Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, text)
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s declares no %s", name, typ)
	}
	return found
}

func TestUsageAddsUp(t *testing.T) {
	t.Parallel()
	cost := func(s string) decimal.Decimal { return decimal.RequireFromString(s) }
	a := event.Usage{InputTokens: 10, OutputTokens: 1, CostUSD: cost("0.1")}
	b := event.Usage{InputTokens: 5, OutputTokens: 2, CostUSD: cost("0.2"), Estimated: true}
	for name, got := range map[string]event.Usage{"a+b": a.Add(b), "b+a": b.Add(a)} {
		if got.InputTokens != 15 || got.OutputTokens != 3 || got.Tokens() != 18 || !got.Estimated {
			t.Errorf("%s is %+v", name, got)
		}
		if !got.CostUSD.Equal(cost("0.3")) { // with floats it would not be
			t.Errorf("%s costs %s", name, got.CostUSD)
		}
	}
	if got := a.Add(event.Usage{}); got.Estimated || !got.CostUSD.Equal(a.CostUSD) || got.Tokens() != a.Tokens() {
		t.Errorf("nothing added gives %+v", got)
	}
}

func TestADraftThatCannotBeEncodedSaysWhich(t *testing.T) {
	t.Parallel()
	_, err := event.Draft{Type: event.ToolCallStarted, Data: event.ToolStarted{Arguments: json.RawMessage(`{`)}}.Encode()
	if err == nil || !strings.Contains(err.Error(), "tool_call_started") {
		t.Errorf("got %v", err)
	}
}

// Whatever a payload repeats of a model, a tool or a person, the log can keep it.
func TestDraft_EncodesWhatTheLogCanKeep(t *testing.T) {
	t.Parallel()
	data, err := event.Draft{Type: event.ToolCallStarted, Data: event.ToolStarted{
		Name: "a\x00b\xff", Arguments: json.RawMessage(`{"a":"\u0000\ud83d","n":1e999999}`),
	}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := storable.CheckJSON(data); err != nil || !strings.Contains(string(data), `"a":"\ufffd\ufffd"`) {
		t.Errorf("%s: %v", data, err)
	}
}
