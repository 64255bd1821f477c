package api

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/stream"
)

// Trail takes down requests that ask for a change. AddCall returns at once; the ticket says when the call
// is kept for good, which is soon when it is awaited. What cannot be kept is the trail's own to report.
type Trail interface {
	AddCall(ctx context.Context, c audit.Call, awaited bool) (*stream.Ticket, error)
}

// trailPatience is how long an answer waits for its row in the trail. A trail that is away longer does
// not take back what has been done: the row is written when it is there again (docs/adr/0009).
const trailPatience = 2 * time.Second

// takeDown puts the request into the trail. It holds facts about the request and nothing that it carried.
func (a *adapter) takeDown(ctx context.Context, x *exchange, ended bool) {
	c := audit.Call{
		At: clock.Now(), Actor: x.principal.Subject, Operation: x.route.Meta.ID, Method: x.route.Method, Route: x.route.Path,
		RequestID: x.requestID, ClientIP: a.proxies.client(x.http),
		Status: x.http.Response.StatusCode(), Code: x.code, Outcome: outcome(x.code),
		Replayed: len(x.http.Response.Header.Peek(headerReplayed)) > 0,
	}
	if !ended { // a panic: the answer comes after this
		c.Status, c.Code, c.Outcome = fasthttp.StatusInternalServerError, fault.Internal, audit.Failure
	}
	c.ResourceType, c.ResourceID = x.route.subject.name(x)
	// What is only accepted goes on after the answer, and so may its row: the caller of a run is not held up.
	awaited := c.Outcome == audit.Success && c.Status != fasthttp.StatusAccepted && !x.route.stream
	ticket, err := a.trail.AddCall(ctx, c, awaited)
	if err != nil || !awaited || ticket == nil {
		return
	}
	ctx, stop := context.WithTimeout(ctx, trailPatience)
	defer stop()
	if err := ticket.Wait(ctx); err != nil {
		a.log.LogAttrs(ctx, slog.LevelWarn, "a change was answered before it was in the audit trail",
			slog.String("request_id", x.requestID), slog.String("route", x.name()), slog.Any("error", err))
	}
}

func outcome(code fault.Code) string {
	if code == "" {
		return audit.Success
	}
	if t, _ := translate(code); t.status >= 500 || code == fault.Cancelled {
		return audit.Failure
	}
	return audit.Refused
}

// subject is what a route's requests are about, found from the table alone.
type subject struct {
	makes string // what the route makes; its id is in the Location
	kind  string // what the path's last parameter names; without one: the family
	param string
}

// subjectOf reads a route's path against the table: /runs/{run_id}/cancel is about a run, and /runs makes
// one because the table has /runs/{run_id}; so does /runs/stream.
func subjectOf(r *Route, table []Route) subject {
	var s subject
	path := r.Path
	for !strings.HasSuffix(path, "}") && path != "" {
		if r.Method == "POST" && s.makes == "" {
			s.makes = itemOf(path, table)
		}
		path = path[:strings.LastIndexByte(path, '/')]
	}
	if path != "" {
		s.param = path[strings.LastIndexByte(path, '{')+1 : len(path)-1]
		s.kind = strings.TrimSuffix(s.param, "_id")
		return s
	}
	s.kind, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.Path, "/v1"), "/"), "/")
	return s
}

// itemOf names the items of the collection at the path: run for /v1/runs, "" when it is none.
func itemOf(path string, table []Route) string {
	for i := range table {
		rest, below := strings.CutPrefix(table[i].Path, path+"/{")
		if name, last := strings.CutSuffix(rest, "}"); below && last && !strings.ContainsAny(name, "/{}") {
			return strings.TrimSuffix(name, "_id")
		}
	}
	return ""
}

// name gives type and id of the thing that the request is about.
func (s subject) name(x *exchange) (kind, id string) {
	if location := x.http.Response.Header.Peek(fasthttp.HeaderLocation); s.makes != "" && len(location) > 0 {
		return s.makes, string(location[bytes.LastIndexByte(location, '/')+1:])
	}
	if s.param == "" {
		if s.makes != "" {
			return s.makes, ""
		}
		return s.kind, ""
	}
	id = x.c.Params(s.param)
	if plain, err := url.PathUnescape(id); err == nil {
		id = plain
	}
	if parsed, err := uuid.Parse(id); err == nil {
		id = parsed.String() // one thing has one name, however the caller writes it
	}
	return s.kind, id
}
