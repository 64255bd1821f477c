package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/fault"
)

// shelf answers every query with the same hits, and remembers what it was asked.
type shelf struct {
	hits  []Hit
	err   error
	query string
	limit int
}

func (s *shelf) Search(_ context.Context, query string, limit int) ([]Hit, error) {
	s.query, s.limit = query, limit
	return s.hits, s.err
}

func TestKnowledgeSearch(t *testing.T) {
	t.Parallel()
	s := &shelf{hits: []Hit{{Title: "Refunds & <more>", URI: "kb://r", Snippet: "30 days", Content: "within 30 days", Score: 0.5}}}
	tool := registered(t, Limits{}, NewKnowledgeSearch(s))
	got, err := call(t, tool, map[string]any{"query": "refund"})
	want := `{"results":[{"title":"Refunds & <more>","uri":"kb://r","snippet":"30 days","content":"within 30 days","score":0.5}]}`
	if err != nil || got != want || s.query != "refund" || s.limit != 5 {
		t.Errorf("%s, %v (asked %q, %d)", got, err, s.query, s.limit)
	}
	if _, err := tool.Call(t.Context(), json.RawMessage(`{"query":"a","limit":3.0}`)); err != nil || s.limit != 3 {
		t.Errorf("limit %d, %v", s.limit, err)
	}
	s.hits = nil
	if got, err := call(t, tool, map[string]any{"query": "nothing"}); err != nil || got != `{"results":[]}` {
		t.Errorf("%s, %v", got, err)
	}
	s.err = fault.New(fault.Unavailable, "down")
	if _, err := call(t, tool, map[string]any{"query": "a"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	for _, arguments := range []map[string]any{
		{},
		{"query": ""},
		{"query": 1},
		{"query": strings.Repeat("q", 1001)},
		{"query": "a", "limit": 0},
		{"query": "a", "limit": 11},
		{"query": "a", "limit": 1.5},
		{"query": "a", "tenant": "other"},
	} {
		if _, err := call(t, tool, arguments); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", arguments, err)
		}
	}
}

// TestKnowledgeSearchStaysJSON: however much escaping the text needs, the result is whole JSON.
func TestKnowledgeSearchStaysJSON(t *testing.T) {
	t.Parallel()
	for _, letter := range []string{"x", "\x01", `"`, "\u2028", "語"} {
		s := &shelf{}
		for i := range 30 {
			long := strings.Repeat(letter, 50_000)
			s.hits = append(s.hits, Hit{Title: long, URI: fmt.Sprintf("kb://%d", i), Snippet: long, Content: long})
		}
		got, err := call(t, registered(t, Limits{}, NewKnowledgeSearch(s)), map[string]any{"query": "a", "limit": 10})
		var out struct{ Results []Hit }
		if err != nil || json.Unmarshal([]byte(got), &out) != nil || len(got) > defaultMaxResultBytes {
			t.Fatalf("%q: %d bytes, %v", letter, len(got), err)
		}
		if n := len(out.Results); n < 3 || n > 10 || out.Results[0].URI != "kb://0" || len(out.Results[0].Content) > 2048 {
			t.Errorf("%q: %d results", letter, n)
		}
	}
}
