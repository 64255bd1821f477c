package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/larirun/lari/tests/contract"
)

// description is what a system's processes say of their API. All of them serve the same one: it is asked
// for when the first answer is held to it.
type description struct {
	mu  sync.Mutex
	doc *contract.Document
}

// errAway: the process ended between an answer and the question for its description. The next answer asks again.
var errAway = errors.New("the API's description cannot be asked for")

func (d *description) of(req *http.Request) (*contract.Document, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.doc != nil {
		return d.doc, nil
	}
	doc, err := Describe(context.WithoutCancel(req.Context()), "http://"+req.URL.Host)
	d.doc = doc
	return doc, err
}

// Describe reads what the process at the URL says of its API.
func Describe(ctx context.Context, url string) (*contract.Document, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/openapi.json", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the API's description: status %d", resp.StatusCode)
	}
	return contract.Parse(text)
}

// described holds the answers that a client gets to the API's description; the test that made the client
// fails when one deviates. The nil value holds none.
type described struct {
	t        testing.TB
	contract *description
}

func (d *described) check(req *http.Request, a Answer) {
	if d == nil {
		return
	}
	d.t.Helper()
	doc, err := d.contract.of(req)
	if err == nil {
		err = doc.Check(contract.Answer{Method: req.Method, Path: req.URL.EscapedPath(), Status: a.Status, Header: a.Header, Body: a.Body})
	}
	d.report(err)
}

func (d *described) checkEvent(req *http.Request, e contract.Event) {
	if d == nil {
		return
	}
	d.t.Helper()
	doc, err := d.contract.of(req)
	if err == nil {
		err = doc.CheckEvent(req.Method, req.URL.EscapedPath(), e)
	}
	d.report(err)
}

func (d *described) report(err error) {
	d.t.Helper()
	if err != nil && !errors.Is(err, errAway) {
		d.t.Error(err)
	}
}
