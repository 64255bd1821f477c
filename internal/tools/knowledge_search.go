package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
)

// Hit is a document that fits a query.
type Hit struct {
	Title   string  `json:"title"`
	URI     string  `json:"uri"`
	Snippet string  `json:"snippet"`
	Content string  `json:"content"` // a passage
	Score   float64 `json:"score"`   // higher is better; comparable within one answer only
}

// Searcher finds documents of the context's tenant, best first. The composition root joins it with the
// knowledge domain.
type Searcher interface {
	Search(ctx context.Context, query string, limit int) ([]Hit, error)
}

const (
	defaultHits     = 5
	maxHits         = 10
	maxTitleBytes   = 300
	maxSnippetBytes = 800
	maxContentBytes = 2 << 10
)

type knowledgeSearch struct{ searcher Searcher }

// NewKnowledgeSearch is the tool knowledge_search over the documents of the tenant.
func NewKnowledgeSearch(s Searcher) Tool { return knowledgeSearch{searcher: s} }

func (knowledgeSearch) Definition() Definition {
	return Definition{
		Name: "knowledge_search",
		Description: "Searches the organisation's own documents. Gives titles, URIs and passages, best first. " +
			"Cite the URI of what you use.",
		Parameters: json.RawMessage(fmt.Sprintf(`{"type":"object","additionalProperties":false,"required":["query"],"properties":{
			"query":{"type":"string","minLength":1,"maxLength":1000,
				"description":"Words to look for; \"a phrase\" in quotes, or between alternatives, -word to exclude"},
			"limit":{"type":"integer","minimum":1,"maximum":%d,"description":"How many results, %d when left out"}}}`,
			maxHits, defaultHits)),
	}
}

func (t knowledgeSearch) Call(ctx context.Context, arguments json.RawMessage) (string, error) {
	args := struct {
		Query string  `json:"query"`
		Limit float64 `json:"limit"` // by JSON Schema 3.0 is an integer as well
	}{Limit: defaultHits}
	if err := json.Unmarshal(arguments, &args); err != nil {
		return "", fault.Wrap(err, fault.Invalid, "the arguments cannot be read")
	}
	limit := max(1, min(int(args.Limit), maxHits))
	hits, err := t.searcher.Search(ctx, args.Query, limit)
	if err != nil {
		return "", err
	}
	results := make([]Hit, 0, len(hits))
	for _, h := range hits[:min(len(hits), limit)] {
		h.Title, h.Snippet = storable.Truncate(h.Title, maxTitleBytes), storable.Truncate(h.Snippet, maxSnippetBytes)
		h.Content = storable.Truncate(h.Content, maxContentBytes)
		results = append(results, h)
	}
	for {
		text, err := encode(map[string][]Hit{"results": results})
		// Escapes can make JSON several times longer than its text. Whole results are left out, the worst
		// first, because a cut by the registry would leave broken JSON.
		if err != nil || len(text) <= defaultMaxResultBytes || len(results) == 0 {
			return text, err
		}
		results = results[:len(results)-1]
	}
}

// encode gives JSON in which <, > and & stand as they are: it is for models, not for pages.
func encode(v any) (string, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("encode a tool's result: %w", err)
	}
	return strings.TrimSuffix(buf.String(), "\n"), nil
}
