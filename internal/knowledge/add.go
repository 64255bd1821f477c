package knowledge

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/storable"
)

// Limits of what Add takes. Postgres holds at most 1 MiB of words and positions per document, which a
// body of a quarter of that cannot fill.
const (
	MaxDocuments  = 500       // in one call
	MaxTitleRunes = 500       // characters
	MaxURIBytes   = 2048      // bytes
	MaxBodyBytes  = 256 << 10 // bytes
)

// Add keeps documents, all or none. One whose URI is known to the tenant is replaced. A document that
// breaks a limit is fault.Invalid, with the field's name; an id that another document has is
// fault.Conflict.
func (s *Service) Add(ctx context.Context, docs ...Document) error {
	if len(docs) == 0 {
		return nil
	}
	if scope.Tenant(ctx) == uuid.Nil {
		return fault.New(fault.Internal, "documents were added without a tenant")
	}
	if len(docs) > MaxDocuments {
		return fault.InvalidField("documents", "max", "must be at most %d at once", MaxDocuments)
	}
	seen := make(map[string]bool, len(docs))
	ready := make([]Document, 0, len(docs))
	for i, d := range docs {
		if err := d.check(fmt.Sprintf("documents[%d]", i)); err != nil {
			return err
		}
		if seen[d.URI] {
			return fault.InvalidField(fmt.Sprintf("documents[%d].uri", i), "unique", "is there twice")
		}
		seen[d.URI] = true
		if d.ID == uuid.Nil {
			id, err := uuid.NewV7()
			if err != nil {
				return fmt.Errorf("make a document's id: %w", err)
			}
			d.ID = id
		}
		ready = append(ready, d)
	}
	return s.store.upsert(ctx, scope.Tenant(ctx), ready)
}

func (d Document) check(path string) error {
	for _, f := range []struct {
		name, text string
		required   bool
		size, max  int
		unit       string
	}{
		{"title", d.Title, true, utf8.RuneCountInString(d.Title), MaxTitleRunes, "characters"},
		{"uri", d.URI, true, len(d.URI), MaxURIBytes, "bytes"},
		{"body", d.Body, false, len(d.Body), MaxBodyBytes, "bytes"},
	} {
		name := path + "." + f.name
		switch {
		case f.required && strings.TrimSpace(f.text) == "":
			return fault.InvalidField(name, "required", "must not be empty")
		case f.size > f.max:
			return fault.InvalidField(name, "max", "must be at most %d %s long", f.max, f.unit)
		case !storable.IsText(f.text):
			return fault.InvalidField(name, "utf8", "must be UTF-8 text without NUL characters")
		}
	}
	return nil
}
