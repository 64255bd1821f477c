package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// fillPath puts an id into every place of a path.
func fillPath(path string, id uuid.UUID) string {
	return placeholder.ReplaceAllString(path, id.String())
}

// TestEveryChangeIsTakenDown ranges over the process's own table: a new route cannot be left out.
func TestEveryChangeIsTakenDown(t *testing.T) {
	t.Parallel()
	table := allRoutes()
	outcomes := map[string]func() error{
		"done":    func() error { return nil },
		"absent":  func() error { return fault.New(fault.NotFound, "There is none.") },
		"refused": func() error { return fault.New(fault.QuotaExceeded, "Too much.") },
		"broken":  func() error { return fault.New(fault.Unavailable, "Away.") },
		"panics":  func() error { panic("a defect") },
	}
	for i := range table {
		table[i].answer = func(_ context.Context, _ *adapter, x *exchange) error {
			x.http.Response.SetStatusCode(201)
			return outcomes[string(x.http.Request.Header.Peek("X-Test"))]()
		}
	}
	r := start(t, table, func(d *Deps) { d.Keys = &idempotency.Keys{} })
	id, changes := uuid.New(), 0
	for i := range table {
		route := &table[i]
		if route.Permission == auth.PlatformManage { // no role of a tenant is let in
			continue
		}
		for _, c := range []struct {
			name    string
			role    auth.Role
			outcome string
			code    fault.Code
			status  int
		}{
			{"done", auth.RoleOwner, audit.Success, "", 201},
			{"absent", auth.RoleOwner, audit.Refused, fault.NotFound, 404},
			{"refused", auth.RoleOwner, audit.Refused, fault.QuotaExceeded, 429},
			{"broken", auth.RoleOwner, audit.Failure, fault.Unavailable, 503},
			{"panics", auth.RoleOwner, audit.Failure, fault.Internal, 500},
			{"done", auth.RoleViewer, audit.Refused, fault.Forbidden, 403},
			{"done", "", "", fault.Unauthenticated, 401},
		} {
			if route.Permission == auth.PlatformManage && c.role == auth.RoleOwner {
				c.role = auth.RoleService
			}
			path := strings.ReplaceAll(route.Path, "{tenant_id}", r.tenant.String())
			a := r.do(t, request{
				method: route.Method, path: fillPath(path, id), role: c.role,
				header: map[string]string{"X-Test": c.name, "X-Request-Id": "req-1"},
			})
			calls := r.trail.all(t)
			// What the platform does is in the trail of the tenant that it makes, and nowhere when it makes none.
			ofNone := c.role == auth.RoleService && !strings.Contains(route.Path, "{tenant_id}")
			if route.Method == http.MethodGet || c.role == "" || ofNone {
				if len(calls) > 0 {
					t.Errorf("%s, %s: taken down: %+v", route.name(), c.name, calls)
				}
				continue
			}
			changes++
			if a.status != c.status || len(calls) != 1 {
				t.Fatalf("%s, %s: answered with %d, taken down: %+v", route.name(), c.name, a.status, calls)
			}
			got := calls[0]
			if got.tenant != r.tenant || got.Actor != "ada" || got.Operation != route.Meta.ID || got.Method != route.Method || got.Route != route.Path ||
				got.RequestID != "req-1" || got.Outcome != c.outcome || got.Code != c.code || got.Status != c.status ||
				got.ClientIP.String() != "127.0.0.1" || got.ResourceType == "" {
				t.Errorf("%s, %s: taken down: %+v", route.name(), c.name, got)
			}
			if about := map[bool]uuid.UUID{true: r.tenant, false: id}[subjectOf(route, table).kind == "tenant"]; strings.Contains(route.Path, "{") && got.ResourceID != about.String() {
				t.Errorf("%s: the resource is %q", route.name(), got.ResourceID)
			}
		}
	}
	if changes < 50 {
		t.Errorf("only %d changes were tried: the test looks in the wrong place", changes)
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	table := allRoutes()
	for name, want := range map[string]subject{
		"POST /v1/runs":                                     {makes: "run", kind: "runs"},
		"POST /v1/runs/stream":                              {makes: "run", kind: "runs"},
		"POST /v1/runs/wait":                                {makes: "run", kind: "runs"},
		"POST /v1/runs/{run_id}/cancel":                     {kind: "run", param: "run_id"},
		"POST /v1/runs/{run_id}/messages":                   {kind: "run", param: "run_id"},
		"POST /v1/runs/{run_id}/approvals/{approval_id}":    {kind: "approval", param: "approval_id"},
		"POST /v1/agents":                                   {makes: "agent", kind: "agents"},
		"PATCH /v1/agents/{agent_id}":                       {kind: "agent", param: "agent_id"},
		"POST /v1/control/daemon/pause":                     {kind: "control"},
		"POST /v1/shelves/{shelf_id}/books":                 {makes: "book", kind: "shelf", param: "shelf_id"},
		"POST /v1/shelves/{shelf_id}/books/{book_id}/pages": {kind: "book", param: "book_id"},
	} {
		method, path, _ := strings.Cut(name, " ")
		r := Route{Method: method, Path: path}
		with := append(table, Route{Path: "/v1/shelves/{shelf_id}/books/{book_id}"})
		if got := subjectOf(&r, with); got != want {
			t.Errorf("%s is about %+v, want %+v", name, got, want)
		}
	}
}

type shelved struct {
	ShelfID string `path:"shelf_id"`
	Secret  string `json:"secret"`
}

type book struct {
	ID string `json:"id"`
}

func (b book) Location() string { return "/v1/books/" + b.ID }

func shelfRoutes() []Route {
	created, accepted := meta("addBook"), meta("burnShelf")
	created.Status, accepted.Status = 201, 202
	return []Route{
		Handle("POST", "/v1/shelves/{shelf_id}/books", auth.RunCreate, created, func(_ context.Context, in *shelved) (book, error) {
			if in.Secret == "bad" {
				return book{}, fault.New(fault.Conflict, "No.")
			}
			return book{ID: "b1"}, nil
		}),
		Handle("GET", "/v1/shelves/{shelf_id}/books/{book_id}", auth.RunRead, meta("getBook"), func(context.Context, *struct {
			ShelfID string `path:"shelf_id"`
			BookID  string `path:"book_id"`
		},
		) (book, error) {
			return book{}, nil
		}),
		Handle("DELETE", "/v1/shelves/{shelf_id}", auth.RunCreate, accepted, func(context.Context, *struct {
			ShelfID string `path:"shelf_id"`
		},
		) (book, error) {
			return book{ID: "x"}, nil
		}),
	}
}

func TestWhatIsTakenDown(t *testing.T) {
	t.Parallel()
	r := start(t, shelfRoutes())
	for name, c := range map[string]struct {
		request
		kind, id, outcome string
		code              fault.Code
		none              bool
	}{
		"made":           {request: request{method: "POST", path: "/v1/shelves/s1/books", body: `{}`}, kind: "book", id: "b1", outcome: audit.Success},
		"not made":       {request: request{method: "POST", path: "/v1/shelves/s1/books", body: `{"secret": "bad"}`}, kind: "shelf", id: "s1", outcome: audit.Refused, code: fault.Conflict},
		"not readable":   {request: request{method: "POST", path: "/v1/shelves/s1/books", body: `{"secret": "hunter2"`}, kind: "shelf", id: "s1", outcome: audit.Refused, code: fault.Malformed},
		"an encoded id":  {request: request{method: "DELETE", path: "/v1/shelves/a%20b%2Fc?x=1"}, kind: "shelf", id: "a b/c", outcome: audit.Refused, code: fault.Malformed},
		"a percent sign": {request: request{method: "DELETE", path: "/v1/shelves/a%25zz"}, kind: "shelf", id: "a%zz", outcome: audit.Success},
		"an id in capitals": {
			request: request{method: "DELETE", path: "/v1/shelves/0197A7C8-5C4E-7D3A-9F10-3B2A1C0D9E8F"}, kind: "shelf", id: "0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f", outcome: audit.Success,
		},
		"another tenant": {request: request{method: "DELETE", path: "/v1/shelves/s1", header: map[string]string{"X-Tenant-Id": uuid.NewString()}}, none: true},
		"no route":       {request: request{method: "DELETE", path: "/v1/nothing"}, none: true},
		"wrong method":   {request: request{method: "PUT", path: "/v1/shelves/s1"}, none: true},
		"only asked":     {request: request{method: "GET", path: "/v1/shelves/s1/books/b1"}, none: true},
	} {
		c.role = auth.RoleOperator
		r.do(t, c.request)
		calls := r.trail.all(t)
		if c.none {
			if len(calls) > 0 {
				t.Errorf("%s: %+v", name, calls)
			}
			continue
		}
		if len(calls) != 1 {
			t.Errorf("%s: %+v", name, calls)
			continue
		}
		if got := calls[0]; got.ResourceType != c.kind || got.ResourceID != c.id || got.Outcome != c.outcome || got.Code != c.code {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A change is answered when it is in the trail; what is only accepted is answered at once.
func TestAnAnswerWaitsForTheTrail(t *testing.T) {
	t.Parallel()
	held := newHeldTrail(t)
	r := start(t, shelfRoutes(), func(d *Deps) { d.Trail = held })
	accepted := r.do(t, request{method: "DELETE", path: "/v1/shelves/s1", role: auth.RoleOperator})
	refused := r.do(t, request{method: "POST", path: "/v1/shelves/s1/books", role: auth.RoleOperator, body: `{"secret": "bad"}`})
	if accepted.status != 202 || refused.status != 409 {
		t.Errorf("answered with %d and %d", accepted.status, refused.status)
	}
	answered := make(chan answer, 1)
	go func() {
		answered <- r.do(t, request{method: "POST", path: "/v1/shelves/s1/books", role: auth.RoleOperator, body: `{}`})
	}()
	for range 3 {
		<-held.added
	}
	select {
	case a := <-answered:
		t.Fatalf("answered with %d before the row was kept", a.status)
	default:
	}
	close(held.release)
	if a := <-answered; a.status != 201 {
		t.Errorf("answered with %d", a.status)
	}
	// A trail that stays away does not take back what has been done.
	away := newHeldTrail(t)
	r = start(t, shelfRoutes(), func(d *Deps) { d.Trail = away })
	if a := r.do(t, request{method: "POST", path: "/v1/shelves/s1/books", role: auth.RoleOperator, body: `{}`}); a.status != 201 ||
		!strings.Contains(r.logged.String(), "before it was in the audit trail") {
		t.Errorf("answered with %d, logged %q", a.status, r.logged.String())
	}
	close(away.release)
}

func TestChangesNeedATrail(t *testing.T) {
	t.Parallel()
	if _, err := New(Deps{Auth: newAuth(t), Log: slog.New(slog.DiscardHandler)}, shelfRoutes()); err == nil || !strings.Contains(err.Error(), "trail") {
		t.Errorf("a server without a trail: %v", err)
	}
}
