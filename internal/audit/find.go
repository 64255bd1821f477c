package audit

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
)

// Filter narrows the trail; zero fields do not.
type Filter struct {
	Actor        string
	Action       string
	ResourceType string
	ResourceID   string
	Outcome      string
	RequestID    string
	From         *time.Time // inclusive
	To           *time.Time // exclusive
}

// check refuses a span that ends before it begins.
func (f Filter) check() error {
	if f.From != nil && f.To != nil && !f.To.After(*f.From) {
		return fault.InvalidField("to", "gtfield", "must be after from")
	}
	return nil
}

// FindAll gives the tenant's records, newest first.
func (s *Service) FindAll(ctx context.Context, f Filter, p page.Request) (page.Page[Record], error) {
	limit, key, err := p.Start()
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return page.Page[Record]{}, err
	}
	before := int64(math.MaxInt64)
	if key != "" {
		if before, err = strconv.ParseInt(key, 10, 64); err != nil || before < 1 || strconv.FormatInt(before, 10) != key {
			return page.Page[Record]{}, fault.New(fault.Malformed, "The cursor is not one that was given out.")
		}
	}
	found, err := s.store.before(ctx, f, before, limit+1)
	if err != nil {
		return page.Page[Record]{}, err
	}
	return page.Of(found, limit, func(r Record) string { return strconv.FormatInt(r.Position, 10) }), nil
}

// exportPage is how many records an export holds at once.
const exportPage = 1000

// Export is a walk over the tenant's records in the order of the chain, a page at a time: it holds
// neither all of them nor a transaction. It is used by one goroutine.
type Export struct {
	store  store
	filter Filter
	page   []Record
	after  int64
}

// Export reads the first page, so that what cannot be read is known before anything is written.
func (s *Service) Export(ctx context.Context, f Filter) (*Export, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	e := &Export{store: s.store, filter: f, after: math.MinInt64}
	return e, e.read(ctx)
}

func (e *Export) read(ctx context.Context) (err error) {
	if e.page, err = e.store.after(ctx, e.filter, e.after, exportPage); err == nil && len(e.page) > 0 {
		e.after = e.page[len(e.page)-1].Position
	}
	return err
}

// Each hands all records to visit, page by page; records are the visitor's only during its call. It ends
// with the first error.
func (e *Export) Each(ctx context.Context, visit func(page []Record) error) error {
	for len(e.page) > 0 {
		last := len(e.page) < exportPage
		if err := visit(e.page); err != nil || last {
			return err
		}
		if err := e.read(ctx); err != nil {
			return err
		}
	}
	return nil
}
