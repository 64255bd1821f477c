// Package page cuts lists into pages: the limit, the opaque cursor and the answer, the same for every
// list. A store fetches one item more than the limit; that one says whether a next page exists.
package page

import (
	"strconv"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
)

// The bounds of a page, in items.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// Request asks for one page. The zero Request is the first page of DefaultLimit items; a caller over
// HTTP who writes limit=0 is refused.
type Request struct {
	Limit  int    `query:"limit" json:"-" validate:"min=1,max=200" minimum:"1" maximum:"200" default:"50" description:"Items of one page at most."`
	Cursor string `query:"cursor" json:"-" description:"next_cursor of the page before; absent: the first page."`
}

// Start gives the number of items to answer at most and the key of the last item of the page before,
// "" for the first page. Errors: Invalid for a limit out of bounds, Malformed for a bad cursor.
func (r Request) Start() (limit int, after string, err error) {
	switch {
	case r.Limit == 0:
		limit = DefaultLimit
	case r.Limit < 1:
		return 0, "", fault.InvalidField("limit", "min", "must be at least 1")
	case r.Limit > MaxLimit:
		return 0, "", fault.InvalidField("limit", "max", "must be at most %d", MaxLimit)
	default:
		limit = r.Limit
	}
	after, err = Decode(r.Cursor)
	return limit, after, err
}

// StartBefore is Start for lists by UUIDv7, newest first: the page holds ids below before. The first
// page begins below the highest id there is, so that one statement serves all pages.
func (r Request) StartBefore() (limit int, before uuid.UUID, err error) {
	limit, after, err := r.Start()
	if err != nil || after == "" {
		return limit, uuid.Max, err
	}
	before, err = parseID(after)
	return limit, before, err
}

// StartNumber is Start for lists by a number that counts from 1, such as positions and versions. The
// number is 0 for the first page and always fits an int4.
func (r Request) StartNumber() (limit, number int, err error) {
	limit, after, err := r.Start()
	if err != nil || after == "" {
		return limit, 0, err
	}
	n, err := strconv.ParseInt(after, 10, 32)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != after {
		return 0, 0, errCursor()
	}
	return limit, int(n), nil
}

// Page is the answer of a list.
type Page[T any] struct {
	Items      []T     `json:"items" required:"true" nullable:"false" description:"The items, in the order of the list."`
	NextCursor *string `json:"next_cursor" required:"true" description:"Cursor of the next page; null on the last one."`
}

// Of makes a page of items that were fetched with limit+1. key gives what an item is ordered by, in the
// form that Start returns for the next page.
func Of[T any](items []T, limit int, key func(T) string) Page[T] {
	if items == nil {
		items = []T{} // an empty list is [] in JSON, never null
	}
	if len(items) <= limit {
		return Page[T]{Items: items}
	}
	items = items[:limit:limit]
	next := Encode(key(items[limit-1]))
	return Page[T]{Items: items, NextCursor: &next}
}

// Map turns the items of a page into others; the cursor stays.
func Map[T, U any](p Page[T], f func(T) U) Page[U] {
	items := make([]U, len(p.Items))
	for i, item := range p.Items {
		items[i] = f(item)
	}
	return Page[U]{Items: items, NextCursor: p.NextCursor}
}
