package knowledge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/knowledge"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

var library = []knowledge.Document{
	{Title: "Refund policy", URI: "kb://refunds", Body: "Customers may ask for their money back within 30 days of the purchase."},
	{Title: "Shipping", URI: "kb://shipping", Body: "Parcels are shipped on working days. A refund of shipping costs is not possible."},
	{Title: "Opening hours", URI: "kb://hours", Body: "The shop is open from nine to five. <b>Closed</b> on Sundays."},
}

func uris(hits []knowledge.Hit) string {
	var out []string
	for _, h := range hits {
		out = append(out, strings.TrimPrefix(h.URI, "kb://"))
	}
	return strings.Join(out, " ")
}

func TestSearch(t *testing.T) {
	t.Parallel()
	ctx, service, _ := newService(t)
	if err := service.Add(ctx, library...); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		query string
		limit int
		want  string
	}{
		"title before body":           {"refund", 0, "refunds shipping"},
		"inflected":                   {"refunding purchases", 0, "refunds"},
		"all words first":             {"refund shipping", 0, "shipping"},
		"phrase":                      {`"working days"`, 0, "shipping"},
		"excluded":                    {"refund -shipping", 0, "refunds"},
		"either":                      {"sundays or parcels", 0, "hours shipping"},
		"some words when not all":     {"parcels on the moon", 0, "shipping"},
		"phrase loosened":             {`"sundays parcels"`, 0, "hours shipping"},
		"excluded is not loosened in": {"moon sundays -parcels", 0, "hours"},
		"limit":                       {"refund", 1, "refunds"},
		"negative limit":              {"refund", -3, "refunds shipping"},
		"unknown word":                {"zebra", 0, ""},
		"unknown words":               {"zebra crossing", 0, ""},
		"stop words":                  {"the of and", 0, ""},
		"punctuation":                 {"?!,.;:-()[]{}&|*<->", 0, ""},
		"quotes":                      {`""" ' "`, 0, ""},
		"only excluded":               {"-refund", 0, ""},
		"only excluded, two":          {"-refund -parcels", 0, ""},
		"operators":                   {"refund & | ! ( <-> :* shipping", 0, "shipping"},
		"SQL":                         {"'; drop table documents; --", 0, ""},
		"backslash and quote":         {`refund\ '\''`, 0, "refunds shipping"},
		"NUL":                         {"re\x00fund refund", 0, "refunds shipping"},
		"invalid UTF-8":               {"\xff\xfe refund \xc3", 0, "refunds shipping"},
		"long":                        {"refund " + strings.Repeat("x", 100_000), 0, "refunds shipping"},
		"many words":                  {"sundays " + strings.Repeat("word ", 100_000), 0, "hours"},
		"cut inside a character":      {"refund " + strings.Repeat("é", 50_000), 0, "refunds shipping"},
		"emoji":                       {"🙂🙂", 0, ""},
		"percent and placeholders":    {"%s %d $1 refund", 0, "refunds shipping"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hits, err := service.Search(ctx, tt.query, tt.limit)
			if err != nil || uris(hits) != tt.want {
				t.Errorf("found %q (%v), want %q", uris(hits), err, tt.want)
			}
			for _, h := range hits {
				if h.ID == uuid.Nil || h.Title == "" || h.Snippet == "" || h.Content == "" || h.Score <= 0 || h.Score > 1 {
					t.Errorf("incomplete hit %+v", h)
				}
			}
		})
	}
	for _, blank := range []string{"", "  \n", "\x00", "\xff"} {
		if _, err := service.Search(ctx, blank, 0); !fault.Is(err, fault.Invalid) {
			t.Errorf("query %q gives %v", blank, err)
		}
	}
}

func TestSearchShowsThePassage(t *testing.T) {
	t.Parallel()
	ctx, service, _ := newService(t)
	filler := strings.Repeat("Größe and other words that say nothing at all. ", 4000)
	doc := knowledge.Document{Title: "Long", URI: "kb://long", Body: filler + "The zebra lives in Namibia. " + filler}
	doc.Body = doc.Body[:knowledge.MaxBodyBytes]
	if err := service.Add(ctx, doc); err != nil {
		t.Fatal(err)
	}
	hits, err := service.Search(ctx, "zebra", 0)
	if err != nil || len(hits) != 1 {
		t.Fatalf("%v, %v", hits, err)
	}
	h := hits[0]
	if !strings.Contains(h.Snippet, "zebra lives") || strings.ContainsAny(h.Snippet, "<>") || len(h.Snippet) > 1600 {
		t.Errorf("snippet %q", h.Snippet)
	}
	if !strings.Contains(h.Content, "zebra lives in Namibia") || utf8.RuneCountInString(h.Content) > 2000 {
		t.Errorf("content of %d characters without the passage", utf8.RuneCountInString(h.Content))
	}
}

func TestSearchKeepsTheLimit(t *testing.T) {
	t.Parallel()
	ctx, service, _ := newService(t)
	var docs []knowledge.Document
	for i := range 2 * knowledge.MaxHits {
		docs = append(docs, knowledge.Document{Title: "Equal", URI: fmt.Sprintf("kb://%02d", i), Body: "equal words"})
	}
	if err := service.Add(ctx, docs...); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]int{0: knowledge.DefaultHits, 7: 7, 1_000_000: knowledge.MaxHits} {
		hits, err := service.Search(ctx, "equal", limit)
		if err != nil || len(hits) != want {
			t.Errorf("limit %d: %d hits, %v", limit, len(hits), err)
		}
		if len(hits) > 0 && hits[0].URI != "kb://00" {
			t.Errorf("equal scores are not in the order of URIs: %s first", hits[0].URI)
		}
	}
}

func TestAddReplacesByURI(t *testing.T) {
	t.Parallel()
	ctx, service, db := newService(t)
	first := knowledge.Document{ID: uuid.New(), Title: "One", URI: "kb://a", Body: "apples"}
	if err := service.Add(ctx, first, knowledge.Document{Title: "Other", URI: "kb://b", Body: "pears"}); err != nil {
		t.Fatal(err)
	}
	if err := service.Add(ctx, knowledge.Document{Title: "Two", URI: "kb://a", Body: "bananas"}); err != nil {
		t.Fatal(err)
	}
	if hits, err := service.Search(ctx, "apples", 0); err != nil || len(hits) != 0 {
		t.Errorf("the old body is still found: %v, %v", hits, err)
	}
	hits, err := service.Search(ctx, "bananas", 0)
	if err != nil || len(hits) != 1 || hits[0].ID != first.ID || hits[0].Title != "Two" {
		t.Errorf("%+v, %v", hits, err)
	}
	if n := count(ctx, t, db); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// TestTenantsAreApart: the SQL does not name the tenant, so the same URIs and words of another tenant
// prove the policies.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	acme, service, db := newService(t)
	rival, _ := db.Tenant(t, "rival")
	ours := knowledge.Document{Title: "Ours", URI: "kb://plan", Body: "the secret plan of acme"}
	theirs := knowledge.Document{Title: "Theirs", URI: "kb://plan", Body: "the secret plan of rival"}
	if err := errors.Join(service.Add(acme, ours), service.Add(rival, theirs)); err != nil {
		t.Fatal(err)
	}
	for title, ctx := range map[string]context.Context{"Ours": acme, "Theirs": rival} {
		hits, err := service.Search(ctx, "secret plan", 0)
		if err != nil || len(hits) != 1 || hits[0].Title != title {
			t.Errorf("%s: found %+v, %v", title, hits, err)
		}
	}
	if hits, err := service.Search(rival, "acme", 0); err != nil || len(hits) != 0 {
		t.Errorf("another tenant's words are found: %+v, %v", hits, err)
	}
	stolen := knowledge.Document{ID: idOf(acme, t, service), Title: "Stolen", URI: "kb://other", Body: "x"}
	if err := service.Add(rival, stolen); !fault.Is(err, fault.Conflict) {
		t.Errorf("a document was added under another tenant's id: %v", err)
	}
	if hits, err := service.Search(acme, "secret", 0); err != nil || len(hits) != 1 || hits[0].Title != "Ours" {
		t.Errorf("the other tenant changed it: %+v, %v", hits, err)
	}
	if _, err := service.Search(context.Background(), "secret", 0); !fault.Is(err, fault.Internal) {
		t.Errorf("without a tenant: %v", err)
	}
}

func idOf(ctx context.Context, t *testing.T, service *knowledge.Service) uuid.UUID {
	t.Helper()
	hits, err := service.Search(ctx, "plan", 1)
	if err != nil || len(hits) != 1 {
		t.Fatalf("%v, %v", hits, err)
	}
	return hits[0].ID
}

func TestAddIsAtomicAndChecked(t *testing.T) {
	t.Parallel()
	ctx, service, db := newService(t)
	good := knowledge.Document{Title: "Good", URI: "kb://good", Body: "good"}
	for name, tt := range map[string]struct {
		doc   knowledge.Document
		field string
	}{
		"no title":      {knowledge.Document{URI: "kb://x"}, "documents[1].title"},
		"no uri":        {knowledge.Document{Title: "x", URI: " "}, "documents[1].uri"},
		"uri twice":     {knowledge.Document{Title: "x", URI: good.URI}, "documents[1].uri"},
		"long title":    {knowledge.Document{Title: strings.Repeat("é", 501), URI: "kb://x"}, "documents[1].title"},
		"long uri":      {knowledge.Document{Title: "x", URI: strings.Repeat("u", 2049)}, "documents[1].uri"},
		"long body":     {knowledge.Document{Title: "x", URI: "kb://x", Body: strings.Repeat("b", knowledge.MaxBodyBytes+1)}, "documents[1].body"},
		"NUL":           {knowledge.Document{Title: "x", URI: "kb://x", Body: "a\x00b"}, "documents[1].body"},
		"invalid UTF-8": {knowledge.Document{Title: "\xff", URI: "kb://x"}, "documents[1].title"},
	} {
		err := service.Add(ctx, good, tt.doc)
		var invalid *fault.Error
		if !errors.As(err, &invalid) || invalid.Code != fault.Invalid || len(invalid.Fields) != 1 || invalid.Fields[0].Field != tt.field {
			t.Errorf("%s: %v, want validation of %s", name, err, tt.field)
		}
	}
	if err := service.Add(ctx, make([]knowledge.Document, knowledge.MaxDocuments+1)...); !fault.Is(err, fault.Invalid) {
		t.Errorf("too many documents: %v", err)
	}
	if err := service.Add(context.Background(), good); !fault.Is(err, fault.Internal) {
		t.Errorf("without a tenant: %v", err)
	}
	if err := service.Add(ctx); err != nil {
		t.Errorf("nothing to add: %v", err)
	}
	if n := count(ctx, t, db); n != 0 {
		t.Errorf("%d rows were written", n)
	}
}

// TestAddTakesTheLargestBodies proves MaxBodyBytes: bodies made to fill a tsvector still fit.
func TestAddTakesTheLargestBodies(t *testing.T) {
	t.Parallel()
	ctx, service, _ := newService(t)
	for name, format := range map[string]string{
		"hyphens": "b%[1]dc-d%[1]df ", "addresses": "a%[1]d.com/b%[1]d ", "numbers": "-%d ", "one word": "x",
	} {
		var b strings.Builder
		for i := 0; b.Len() < knowledge.MaxBodyBytes; i++ {
			if !strings.Contains(format, "%") {
				b.WriteString(format)
				continue
			}
			fmt.Fprintf(&b, format, i)
		}
		body := b.String()[:knowledge.MaxBodyBytes]
		if err := service.Add(ctx, knowledge.Document{Title: name, URI: "kb://" + name, Body: body}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAddAndSearchAtOnce adds the same documents in both orders: without an order of their own the
// statements would wait for each other's rows.
func TestAddAndSearchAtOnce(t *testing.T) {
	t.Parallel()
	ctx, service, db := newService(t)
	var forward []knowledge.Document
	for i := range knowledge.MaxDocuments {
		forward = append(forward, knowledge.Document{Title: "Same", URI: fmt.Sprintf("kb://%03d", i), Body: "refund"})
	}
	backward := slices.Clone(forward)
	slices.Reverse(backward)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			docs := [][]knowledge.Document{forward, backward}[i%2]
			for range 10 {
				if err := service.Add(ctx, docs...); err != nil {
					t.Errorf("add: %v", err)
					return
				}
				if hits, err := service.Search(ctx, "refund", 2); err != nil || uris(hits) != "000 001" {
					t.Errorf("search: %v, %v", hits, err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(ctx, t, db); n != len(forward) {
		t.Errorf("%d rows, want %d", n, len(forward))
	}
}

func count(ctx context.Context, t *testing.T, db *pgtest.Database) (n int) {
	t.Helper()
	err := db.DB.Query(ctx, "select count(*) from documents", nil, func(rows pgx.Rows) (err error) {
		n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
