package knowledge

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/storable"
)

// Limits of a search. A query is cut to them rather than refused: models write long ones.
const (
	DefaultHits   = 5
	MaxHits       = 20
	maxQueryRunes = 1000
	maxQueryWords = 64
)

// Search finds the documents that fit the query best, best first. The query has the form of a web
// search: words, "a phrase", or, -not. When no document has all the words, those with some of them are
// found. A limit below 1 means DefaultHits; one above MaxHits is cut to it. An empty query is
// fault.Invalid; one without a word that can be searched for finds nothing.
func (s *Service) Search(ctx context.Context, query string, limit int) ([]Hit, error) {
	query = clean(query)
	if query == "" {
		return nil, fault.InvalidField("query", "required", "must not be empty")
	}
	if limit < 1 {
		limit = DefaultHits
	}
	limit = min(limit, MaxHits)
	hits, err := s.store.search(ctx, query, limit)
	if err != nil || len(hits) > 0 {
		return hits, err
	}
	if loose := anyOf(query); loose != "" {
		return s.store.search(ctx, loose, limit)
	}
	return hits, nil
}

// clean makes any bytes a text that Postgres takes, on one line and bounded.
func clean(query string) string {
	// Only the first part is looked at: the rest of a megabyte is not worth the walk.
	query = strings.TrimSpace(query)
	query = storable.Truncate(query, 4*maxQueryRunes)
	words := strings.FieldsFunc(query, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError })
	if len(words) > maxQueryWords {
		words = words[:maxQueryWords]
	}
	runes := []rune(strings.Join(words, " "))
	return string(runes[:min(len(runes), maxQueryRunes)])
}

// anyOf turns a query into one for any of its words; excluded words are left out. It gives "" when
// that would be the same query.
func anyOf(query string) string {
	var words []string
	for _, word := range strings.Fields(query) {
		word, excluded := strings.CutPrefix(word, "-")
		word = strings.ReplaceAll(word, `"`, "")
		if !excluded && word != "" && !strings.EqualFold(word, "or") {
			words = append(words, word)
		}
	}
	if len(words) < 2 {
		return ""
	}
	return strings.Join(words, " or ")
}
