package fuzzapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/contract"
)

const (
	patience      = 10 * time.Second       // for an answer
	waitPatience  = 2 * time.Second        // for one that waits for a run on purpose
	streamGlance  = 150 * time.Millisecond // for the frames of a stream
	glancedFrames = 6
)

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	events []contract.Event
}

// waits tells requests that may be answered late: they ask for it.
func waits(q *request) bool {
	return strings.HasSuffix(q.op.Path, "/wait") || strings.Contains(q.url(), "wait=")
}

// send sends the request and holds the answer to what any answer owes; the first thing that is wrong is the
// error.
func (w *world) send(ctx context.Context, q *request) (answer, error) {
	limit := patience
	if waits(q) {
		limit = waitPatience
	}
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	req, err := q.http(ctx, w.process.URL)
	if err != nil {
		return answer{}, nil //nolint:nilerr // no client of Go's sends this one
	}
	a, err := w.exchange(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && waits(q):
		return a, nil
	case err != nil && unsendable(err):
		return answer{}, nil
	case err != nil:
		return a, fmt.Errorf("no answer: %w", err)
	}
	return a, w.judge(q, a)
}

// unsendable tells what Go's client refuses to send, and what breaks because the server answered before it
// had read the whole body.
func unsendable(err error) bool {
	text := err.Error()
	return strings.Contains(text, "invalid header field") || strings.Contains(text, "write: broken pipe") || strings.Contains(text, "connection reset by peer")
}

func (w *world) exchange(req *http.Request) (answer, error) {
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		a.events = glance(resp.Body)
		return a, nil
	}
	a.body, err = io.ReadAll(resp.Body)
	return a, err
}

// glance reads the first frames of a stream and leaves.
func glance(body io.ReadCloser) []contract.Event {
	cut := time.AfterFunc(streamGlance, func() { _ = body.Close() })
	defer cut.Stop()
	events := contract.NewEvents(body)
	var seen []contract.Event
	for len(seen) < glancedFrames {
		e, err := events.Next()
		if err != nil {
			break
		}
		seen = append(seen, e)
	}
	return seen
}

func (w *world) judge(q *request, a answer) error {
	path, _, _ := strings.Cut(q.path, "?")
	var problem struct{ Code string }
	if a.status >= 400 {
		_ = json.Unmarshal(a.body, &problem) // no problem: that is found below
	}
	if a.status >= 500 && problem.Code != "paused" {
		return fmt.Errorf("status %d: %.500s", a.status, a.body)
	}
	if err := w.doc.Check(contract.Answer{Method: q.op.Method, Path: path, Status: a.status, Header: a.header, Body: a.body}); err != nil {
		return err
	}
	for _, e := range a.events {
		if err := w.doc.CheckEvent(q.op.Method, path, e); err != nil {
			return err
		}
	}
	return w.isolated(q, a)
}

// isolated looks for what is the other tenant's in the answer.
func (w *world) isolated(q *request, a answer) error {
	text := a.body
	for _, e := range a.events {
		text = append(text, e.Data...)
	}
	acting := q.tenant
	if q.role == auth.RoleService { // it acts in the tenant that it says; some of what it sees is of no tenant
		if q.op.Permission == string(auth.PlatformManage) || strings.HasPrefix(q.op.Path, "/v1/tenants") ||
			q.op.Path == "/v1/analytics/prometheus" { // which shows the platform every series
			return nil
		}
		told, all := a.header.Get(auth.TenantHeader), w.tenants()
		switch {
		case told == all[0].ID.String():
			acting = 0
		case told == all[1].ID.String():
			acting = 1
		default:
			return nil
		}
	}
	said := q.text()
	other := w.tenants()[1-acting]
	if strings.Contains(string(text), other.marker) && !strings.Contains(said, other.marker) {
		return fmt.Errorf("it shows a row of the other tenant (%s): %.1000s", other.marker, text)
	}
	if q.op.Permission == string(auth.AuditRead) { // the trail holds the ids that its own tenant asked for in vain
		return nil
	}
	if id := w.owners.foreign(acting, text, strings.ToLower(said)); id != "" {
		return fmt.Errorf("it shows an id of the other tenant (%s): %.1000s", id, text)
	}
	w.owners.claim(acting, a.status, a.body)
	return nil
}
