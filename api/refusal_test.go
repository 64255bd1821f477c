package api

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	thing := "/v1/things/0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f"
	put := func(body string) request {
		return request{method: "PUT", path: thing, role: auth.RoleOperator, body: body}
	}
	get := func(path string) request { return request{method: "GET", path: path, role: auth.RoleViewer} }
	with := func(q request, name, value string) request {
		q.header = map[string]string{name: value}
		return q
	}
	for name, c := range map[string]struct {
		request
		code  fault.Code
		field string // the first named input
		rule  string
		say   string // part of the detail
	}{
		"not JSON":                 {put(`{"name": }`), fault.Malformed, "", "", "byte 9"},
		"cut off":                  {put(`{"name": "a"`), fault.Malformed, "", "", "ends too early"},
		"text after":               {put(`{"name": "a"} {}`), fault.Malformed, "", "", "more than one"},
		"an array":                 {put(`[]`), fault.Malformed, "", "", "object"},
		"no body":                  {put(``), fault.Malformed, "", "", "missing"},
		"invalid UTF-8":            {put("{\"name\": \"a\xff\"}"), fault.Malformed, "", "", "UTF-8"},
		"half a surrogate":         {put(`{"name": "\ud83d"}`), fault.Malformed, "", "", "surrogate"},
		"name twice":               {put(`{"name": "a", "name": "b"}`), fault.Malformed, "", "", `"name" twice`},
		"name twice deep":          {put(`{"name": "a", "metadata": {"a": 1, "\u0061": 2}}`), fault.Malformed, "", "", "metadata.a"},
		"too deep":                 {put(`{"name": "a", "metadata": ` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`), fault.Malformed, "", "", "deeper"},
		"leading zero":             {put(`{"name": "a", "share": 01}`), fault.Malformed, "", "", "byte"},
		"control character":        {put("{\"name\": \"a\nb\"}"), fault.Malformed, "", "", "byte"},
		"unknown field":            {put(`{"name": "a", "colour": "b"}`), fault.Invalid, "colour", "unknown", ""},
		"unknown field deep":       {put(`{"name": "a", "budget": {"max_stesp": 1}}`), fault.Invalid, "budget.max_stesp", "unknown", ""},
		"field in another case":    {put(`{"Name": "a"}`), fault.Invalid, "Name", "unknown", ""},
		"path field in the body":   {put(`{"name": "a", "thing_id": "0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e80"}`), fault.Invalid, "thing_id", "unknown", ""},
		"Go's name of a field":     {put(`{"name": "a", "ThingID": "0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e80"}`), fault.Invalid, "ThingID", "unknown", ""},
		"NUL":                      {put(`{"name": "a\u0000"}`), fault.Invalid, "name", "nul", ""},
		"NUL in free JSON":         {put(`{"name": "a", "metadata": {"x": ["\u0000"]}}`), fault.Invalid, "metadata.x[0]", "nul", ""},
		"wrong type":               {put(`{"name": 1}`), fault.Invalid, "name", "type", "must be a string"},
		"wrong type in a list":     {put(`{"name": "a", "parts": [{"role": "user"}, 7]}`), fault.Invalid, "parts[1]", "type", "must be an object"},
		"fraction":                 {put(`{"name": "a", "budget": {"max_steps": 1.5}}`), fault.Invalid, "budget.max_steps", "type", "whole number"},
		"out of range":             {put(`{"name": "a", "budget": {"max_steps": 99999999999999999999}}`), fault.Invalid, "budget.max_steps", "range", ""},
		"huge number in free":      {put(`{"name": "a", "metadata": {"x": 1e999999}}`), fault.Invalid, "metadata.x", "range", ""},
		"bad uuid":                 {put(`{"name": "a", "owner": "x"}`), fault.Invalid, "owner", "format", "UUID"},
		"uuid spelled otherwise":   {put(`{"name": "a", "owner": "{0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f}"}`), fault.Invalid, "owner", "format", "UUID"},
		"bad time":                 {put(`{"name": "a", "due": "yesterday"}`), fault.Invalid, "due", "format", "RFC 3339"},
		"required":                 {put(`{}`), fault.Invalid, "name", "required", "name is required"},
		"null is absent":           {put(`{"name": null}`), fault.Invalid, "name", "required", ""},
		"bound":                    {put(`{"name": "a", "budget": {"max_steps": 0}}`), fault.Invalid, "budget.max_steps", "min", "must be at least 1"},
		"enum":                     {put(`{"name": "a", "color": "blue"}`), fault.Invalid, "color", "oneof", "must be one of red, green"},
		"bound of a list's item":   {put(`{"name": "a", "parts": [{"role": "user"}, {"role": "root"}]}`), fault.Invalid, "parts[1].role", "oneof", ""},
		"too long":                 {put(`{"name": "` + strings.Repeat("ä", 21) + `"}`), fault.Invalid, "name", "max", "must have at most 20 characters"},
		"not JSON media":           {with(put(`{}`), "Content-Type", "text/plain"), fault.UnsupportedMedia, "", "", "application/json"},
		"other charset":            {with(put(`{}`), "Content-Type", "application/json; charset=latin1"), fault.UnsupportedMedia, "", "", "UTF-8"},
		"compressed":               {with(put(`{}`), "Content-Encoding", "gzip"), fault.UnsupportedMedia, "", "", "Content-Encoding"},
		"over the limit":           {put(`{"name": "` + strings.Repeat("a", 1<<20) + `"}`), fault.TooLarge, "", "", "limit"},
		"far over the limit":       {put(strings.Repeat("a", 8<<20)), fault.TooLarge, "", "", "limit"},
		"body where none is":       {request{method: "DELETE", path: thing, role: auth.RoleAdmin, body: `{}`}, fault.Malformed, "", "", "no body"},
		"unknown query":            {get("/v1/things?limt=3"), fault.Malformed, "limt", "unknown", ""},
		"bad int":                  {get("/v1/things?limit=x"), fault.Malformed, "limit", "format", "whole number"},
		"bound of a query":         {get("/v1/things?limit=500"), fault.Invalid, "limit", "max", "must be at most 200"},
		"zero is a value":          {get("/v1/things?limit=0"), fault.Invalid, "limit", "min", ""},
		"query twice":              {get("/v1/things?limit=5&limit=6"), fault.Malformed, "limit", "repeated", ""},
		"enum of a query":          {get("/v1/things?color=red&color=blue"), fault.Invalid, "color[1]", "oneof", ""},
		"time of no time":          {put(`{"name": "a", "due": "0001-01-01T00:00:00Z"}`), fault.Invalid, "due", "format", "1970"},
		"time too late in UTC":     {put(`{"name": "a", "due": "9999-12-31T23:00:00-02:00"}`), fault.Invalid, "due", "format", "9999"},
		"time too early, in query": {get("/v1/things?since=1969-12-31T23:59:59Z"), fault.Malformed, "since", "format", "1970"},
		"bad time in a query":      {get("/v1/things?since=now"), fault.Malformed, "since", "format", ""},
		"bad bool":                 {request{method: "PUT", path: thing + "?dry=1", role: auth.RoleOperator, body: `{"name": "a"}`}, fault.Malformed, "dry", "format", "true or false"},
		"NUL in a query":           {get("/v1/things?cursor=%00"), fault.Malformed, "cursor", "encoding", ""},
		"invalid UTF-8 in query":   {get("/v1/things?cursor=%ff"), fault.Malformed, "cursor", "encoding", ""},
		"bad uuid in the path":     {get("/v1/things/nonsense"), fault.Malformed, "thing_id", "format", "UUID"},
		"bad escape in the path":   {get("/v1/things/%2e%2e"), fault.Malformed, "thing_id", "format", ""},
		"no such path":             {get("/v1/nothing"), fault.NotFound, "", "", "nothing at this path"},
		"trailing slash":           {get("/v1/things/"), fault.NotFound, "", "", ""},
		"other case":               {get("/v1/Things"), fault.NotFound, "", "", ""},
		"no such method":           {request{method: "PATCH", path: thing, role: auth.RoleOwner}, fault.MethodNotAllowed, "", "", "GET, HEAD, PUT, DELETE, OPTIONS"},
		"invented method":          {request{method: "BREW", path: thing}, fault.MethodNotAllowed, "", "", "not one that"},
		"no credential":            {request{method: "GET", path: thing}, fault.Unauthenticated, "", "", ""},
		"bad credential":           {with(request{method: "GET", path: thing}, "Authorization", "Bearer nonsense"), fault.Unauthenticated, "", "", ""},
		"malformed tenant":         {with(get(thing), "x-tenant-id", "acme"), fault.Malformed, "", "", "x-tenant-id"},
		"empty tenant":             {with(get(thing), "x-tenant-id", ""), fault.Malformed, "", "", "x-tenant-id"},
		"another's tenant":         {with(get(thing), "x-tenant-id", uuid.NewString()), fault.Forbidden, "", "", "not a member"},
		"no permission":            {request{method: "PUT", path: thing, role: auth.RoleViewer, body: `{"name": "a"}`}, fault.Forbidden, "", "", "run:create"},
		"no permission, bad body":  {request{method: "PUT", path: thing, role: auth.RoleViewer, body: `{`}, fault.Forbidden, "", "", "run:create"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := r.do(t, c.request)
			p := a.problem(t, c.code)
			if !strings.Contains(p.Detail, c.say) {
				t.Errorf("detail %q, want it to say %q", p.Detail, c.say)
			}
			if c.field == "" {
				return
			}
			if len(p.Errors) == 0 || p.Errors[0].Field != c.field || p.Errors[0].Rule != c.rule || p.Errors[0].Message == "" {
				t.Errorf("errors %+v, want %s to break %s (%s)", p.Errors, c.field, c.rule, p.Detail)
			}
		})
	}
}

func TestRefusalHeaders(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	a := r.do(t, request{method: "PATCH", path: "/v1/things"})
	if got := a.header.Get("Allow"); got != "GET, HEAD, OPTIONS" {
		t.Errorf("Allow is %q", got)
	}
	if o := r.observed.last(t); o != (observation{"", unmatched, "PATCH", 405}) {
		t.Errorf("observed %+v", o)
	}
	if a = r.do(t, request{method: "GET", path: "/v1/things"}); a.header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("401 without WWW-Authenticate: %v", a.header)
	}
	if o := r.observed.last(t); o != (observation{"", "/v1/things", "GET", 401}) {
		t.Errorf("observed %+v", o)
	}
	if a = r.do(t, request{method: "OPTIONS", path: "/v1/things"}); a.status != 204 || a.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("OPTIONS answered %d, Allow %q", a.status, a.header.Get("Allow"))
	}
	if a = r.do(t, request{method: "OPTIONS", path: "/v1/nothing"}); a.status != 404 {
		t.Errorf("OPTIONS of nothing answered %d", a.status)
	}
	a = r.do(t, request{method: "DELETE", path: "/v1/things/" + uuid.NewString(), role: auth.RoleOperator})
	a.problem(t, fault.Forbidden)
	if o := r.observed.last(t); o != (observation{r.tenant.String(), "/v1/things/{thing_id}", "DELETE", 403}) {
		t.Errorf("observed %+v", o)
	}
	a = r.do(t, request{method: "BREW", path: "/"})
	if o := r.observed.last(t); o.method != uncounted || a.header.Get("Allow") == "" {
		t.Errorf("observed %+v, Allow %q", o, a.header.Get("Allow"))
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	r := start(t, thingRoutes())
	for _, code := range fault.Codes() {
		a := r.do(t, request{method: "POST", path: "/v1/fail", body: `{"code": "` + string(code) + `"}`})
		p := a.problem(t, code)
		if strings.Contains(a.body, "unexpected EOF") {
			t.Errorf("%s shows its cause: %s", code, a.body)
		}
		if got := a.header.Get("Retry-After"); got != "" && got != "2" {
			t.Errorf("%s: 1.2 s are %q", code, got)
		}
		if shown := p.Detail == "told to fail"; shown == (code == fault.Internal) {
			t.Errorf("%s says %q", code, p.Detail)
		}
	}
	a := r.do(t, request{method: "GET", path: "/v1/panic", header: map[string]string{"X-Request-Id": "the-panic"}})
	a.problem(t, fault.Internal)
	if strings.Contains(a.body, "boom") {
		t.Errorf("the panic is shown: %s", a.body)
	}
	if log := r.logged.String(); !strings.Contains(log, "boom") || !strings.Contains(log, "the-panic") || !strings.Contains(log, "support_test.go") {
		t.Errorf("the panic is not logged with request and stack: %s", log)
	}
	if a := r.do(t, request{method: "GET", path: "/healthz"}); a.status != 200 {
		t.Errorf("after a panic the server answers %d", a.status)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		got, known := translate(code)
		if !known || got.status < 400 || got.title == "" {
			t.Errorf("%s has no translation", code)
		}
	}
	if _, known := translate("invented"); known {
		t.Error("an invented code has a translation")
	}
}
