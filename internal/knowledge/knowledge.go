// Package knowledge holds the documents of a tenant and finds passages in them.
package knowledge

import "github.com/google/uuid"

// Document is one text that agents may look things up in. Its URI names it within the tenant.
type Document struct {
	ID    uuid.UUID // given by Add when it is zero; a document that is replaced keeps its old one
	Title string
	URI   string
	Body  string
}

// Hit is a document that fits a query.
type Hit struct {
	ID      uuid.UUID
	Title   string
	URI     string
	Snippet string  // one or two fragments with the words that were found, plain text
	Content string  // the passage around the snippet, at most about 2,000 characters
	Score   float64 // between 0 and 1; comparable within one answer only
}

// Service finds and keeps documents. Many goroutines may use it at once.
type Service struct{ store store }

// NewService makes a service over a database.
func NewService(db DB) *Service { return &Service{store: store{db: db}} }
