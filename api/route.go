package api

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/larirun/lari/internal/platform/auth"
)

// Route is one endpoint of the table. Handle, Stream and Download make routes; New refuses those that lack a
// permission, an operation id or whose types do not fit.
type Route struct {
	Method     string // GET, POST, PUT, PATCH or DELETE
	Path       string // as OpenAPI writes it: /v1/runs/{run_id}
	Permission auth.Permission
	Meta       Meta

	in, out reflect.Type
	plan    *plan
	stream  bool
	named   bool   // the path names the tenant
	runAt   int    // after how many slashes the path names a run; 0: it does not
	label   string // is the name
	needs   []auth.Permission
	subject subject
	hidden  bool // not part of the API's description
	answer  func(ctx context.Context, a *adapter, x *exchange) error
	err     error
}

// Meta describes a route to its callers and to the adapter.
type Meta struct {
	ID          string // operation id, unique: verb and noun in camel case (listRuns)
	Tag         string // the family in the description
	Summary     string // a few words
	Description string // Markdown; may be empty

	Produces string // media types of a Raw answer or a file, separated by ", ", for the description; of a JSON answer: its other form

	Events   bool              // of a stream: its frames are events of a run's log, for the description
	Examples map[string]string // of answers that are not JSON, by media type, for the description

	Status  int           // of success; 0: 200, or 204 when the answer is None
	Also    []int         // other statuses that the answer sets (see Responder), for the description
	Timeout time.Duration // of the function's context; 0: the server's default
	Creates bool          // honours Idempotency-Key; the function uses idempotency.ResourceID for what it makes

	// Resumes is for routes that create and whose answer cannot be replayed from store, such as waiting
	// for a result. The function is called for every request with the key and gets the same resource id
	// each time: it makes the thing unless it exists, then answers for it. Streams always resume.
	Resumes bool

	// Needs lists what the caller must hold beside the route's permission: whoever causes a run holds
	// run:create, and whoever decides where outputs go holds run:read. What only a field of the input asks
	// for is a tag of that field (see fieldGuard).
	Needs []auth.Permission

	// Anywhere is for routes that are about the caller and not about a tenant: whoever has several and no
	// default need not choose one, and the permission is held when it is held in any of them.
	Anywhere bool
}

// None is the input of a route that has none, and the answer of one that says nothing (204).
type None struct{}

// Located is an answer that names the place of what was made, for the Location header.
type Located interface{ Location() string }

// Responder is an answer that changes its own status or headers.
type Responder interface{ Respond(h *Head) }

// Head is what an answer may change beside its body.
type Head struct {
	Status int
	header func(name, value string)
}

// Set sets a header of the response.
func (h *Head) Set(name, value string) { h.header(name, value) }

// Raw is an answer that is not JSON made from a Go value.
type Raw struct {
	Status      int // zero: the route's
	ContentType string
	Header      map[string]string
	Body        []byte
}

// Handle makes a route that answers JSON. In is a struct whose fields carry the tags json, path, query
// or header (see plan), and validate, description, example and default for rules and the description.
// fn gets the caller's scope and principal in the context and is only called with input that holds to
// all rules.
func Handle[In, Out any](
	method, path string, p auth.Permission, m Meta, fn func(ctx context.Context, in *In) (Out, error),
) Route {
	r := Route{Method: method, Path: path, Permission: p, Meta: m, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out]()}
	if r.plan, r.err = planOf(r.in); r.err != nil {
		return r
	}
	if r.Meta.Status == 0 {
		r.Meta.Status = 200
		if r.out == reflect.TypeFor[None]() {
			r.Meta.Status = 204
		}
	}
	status := r.Meta.Status
	r.answer = func(ctx context.Context, a *adapter, x *exchange) error {
		in := new(In)
		if err := a.read(ctx, x, in); err != nil {
			return err
		}
		if !x.keyed() {
			return call(ctx, x, status, fn, in)
		}
		return a.once(ctx, x, func(ctx context.Context) error { return call(ctx, x, status, fn, in) })
	}
	return r
}

func call[In, Out any](
	ctx context.Context, x *exchange, status int, fn func(ctx context.Context, in *In) (Out, error), in *In,
) error {
	out, err := fn(ctx, in)
	if err != nil {
		return err
	}
	return encode(x.http, status, out)
}

// Stream makes a route that answers with server-sent events. fn decides whether there will be a stream
// and what it sends; it ends before the first byte of the answer, so its errors are problem documents.
// A nil Source is answered with 204, which tells an EventSource to stop connecting (HTML Standard §9.2).
func Stream[In any](
	method, path string, p auth.Permission, m Meta, fn func(ctx context.Context, in *In) (Source, error),
) Route {
	r := Route{Method: method, Path: path, Permission: p, Meta: m, in: reflect.TypeFor[In](), stream: true}
	r.Meta.Status, r.Meta.Resumes = 200, m.Creates
	if r.plan, r.err = planOf(r.in); r.err != nil {
		return r
	}
	r.answer = func(ctx context.Context, a *adapter, x *exchange) error {
		in := new(In)
		if err := a.read(ctx, x, in); err != nil {
			return err
		}
		open := func(ctx context.Context) error {
			location := new(string)
			source, err := fn(context.WithValue(ctx, locationKey{}, location), in)
			if err != nil {
				return err
			}
			return a.streams.answer(ctx, x, source, *location)
		}
		if !x.keyed() {
			return open(ctx)
		}
		return a.once(ctx, x, open)
	}
	return r
}

type locationKey struct{}

// Locate puts the place of what a stream shows into the Location header. It works within the function of
// a Stream route, before that returns.
func Locate(ctx context.Context, location string) {
	if l, ok := ctx.Value(locationKey{}).(*string); ok {
		*l = location
	}
}

var (
	placeholder = regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`)
	goodPath    = regexp.MustCompile(`^(/([a-z0-9._-]+|\{[a-z][a-z0-9_]*\}))+$|^/$`)
	goodID      = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
)

// check finds what is wrong with a route before the process serves anything.
func (r *Route) check() error {
	switch {
	case r.err != nil:
		return fmt.Errorf("%s: %w", r.name(), r.err)
	case r.answer == nil:
		return fmt.Errorf("%s: it was not made by Handle, Stream or Download", r.name())
	case !slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, r.Method):
		return fmt.Errorf("%s: the method is not one of GET, POST, PUT, PATCH, DELETE", r.name())
	case !goodPath.MatchString(r.Path) && !r.hidden:
		return fmt.Errorf("%s: the path is not of the form /v1/things/{thing_id}", r.name())
	case r.Permission != auth.Public && !r.Permission.Known():
		return fmt.Errorf("%s: %q is not a permission; a route that needs none says auth.Public", r.name(), r.Permission)
	case r.Permission == auth.Public && (len(r.Meta.Needs) > 0 || r.plan != nil && len(r.plan.guards) > 0):
		return fmt.Errorf("%s: it is public, so it needs no permissions", r.name())
	case !distinct(r.permissions()):
		return fmt.Errorf("%s: %q are not permissions that differ", r.name(), r.permissions())
	case !goodID.MatchString(r.Meta.ID):
		return fmt.Errorf("%s: %q is not an operation id", r.name(), r.Meta.ID)
	case r.Meta.Summary == "" || r.Meta.Tag == "":
		return fmt.Errorf("%s: it has no summary or tag", r.name())
	case r.Meta.Creates && (r.Method != "POST" || r.Permission == auth.Public):
		return fmt.Errorf("%s: only a POST on behalf of a tenant or of the platform can create", r.name())
	case r.Meta.Creates && r.out == reflect.TypeFor[Raw]():
		return fmt.Errorf("%s: a raw answer cannot be replayed", r.name())
	case len(r.Meta.Also) > 0 && r.out == nil:
		return fmt.Errorf("%s: a stream has no other status", r.name())
	case r.Meta.Resumes && !r.Meta.Creates:
		return fmt.Errorf("%s: only a route that creates can resume", r.name())
	}
	if r.Meta.Anywhere && (len(r.Meta.Needs) > 0 || len(r.plan.guards) > 0) { // each might be held in another tenant
		return fmt.Errorf("%s: a route for anywhere needs one permission", r.name())
	}
	if r.named = strings.Contains(r.Path, "{"+tenantParam+"}"); r.named && r.Meta.Anywhere {
		return fmt.Errorf("%s: its path names a tenant, so it is not for anywhere", r.name())
	}
	return r.checkPath()
}

func (r *Route) checkPath() error {
	var inPath, inType []string
	for _, m := range placeholder.FindAllStringSubmatch(r.Path, -1) {
		inPath = append(inPath, m[1])
	}
	for _, q := range r.plan.path {
		inType = append(inType, q.name)
	}
	slices.Sort(inPath)
	slices.Sort(inType)
	if !slices.Equal(inPath, inType) {
		return fmt.Errorf("%s: the path names %v, the input %s has %v", r.name(), inPath, r.in, inType)
	}
	return nil
}

// tenantParam is the parameter of a path that names the tenant to act in.
const tenantParam = "tenant_id"

// permissions lists what the caller must hold, the route's own permission first.
func (r *Route) permissions() []auth.Permission {
	return append([]auth.Permission{r.Permission}, r.Meta.Needs...)
}

// distinct reports whether all are permissions and none occurs twice. Public can only be the first.
func distinct(all []auth.Permission) bool {
	for i, p := range all {
		if !p.Known() && (i > 0 || p != auth.Public) || slices.Contains(all[:i], p) {
			return false
		}
	}
	return true
}

// ofPlatform reports whether the route acts in no tenant.
func (r *Route) ofPlatform() bool { return !r.named && r.Permission == auth.PlatformManage }

// mutates reports whether the route is for changes: such requests are in the audit trail.
func (r *Route) mutates() bool { return r.Method != "GET" }

func (r *Route) name() string { return r.Method + " " + r.Path }

// fiberPath translates {run_id} to :run_id.
func (r *Route) fiberPath() string { return placeholder.ReplaceAllString(r.Path, ":$1") }

// checkTable checks every route and that no two answer the same request or share a name.
func checkTable(routes []Route) error {
	ids, paths, shapes := map[string]string{}, map[string]string{}, map[string]string{}
	for i := range routes {
		r := &routes[i]
		if err := r.check(); err != nil {
			return err
		}
		if other, taken := ids[r.Meta.ID]; taken {
			return fmt.Errorf("%s and %s share the operation id %s", other, r.name(), r.Meta.ID)
		}
		shape := placeholder.ReplaceAllString(r.Path, "{}")
		if other, named := shapes[shape]; named && other != r.Path { // OpenAPI takes them for one path
			return fmt.Errorf("%s and %s differ only in the names of their parameters", other, r.Path)
		}
		shapes[shape] = r.Path
		key := r.Method + " " + shape
		if other, taken := paths[key]; taken {
			return fmt.Errorf("%s and %s answer the same requests", other, r.name())
		}
		ids[r.Meta.ID], paths[key] = r.name(), r.name()
	}
	return nil
}

// sortTable puts fixed segments before placeholders: Fiber asks routes in the order they were added,
// and /runs/stream must not be taken for the run named "stream".
func sortTable(routes []Route) {
	slices.SortStableFunc(routes, func(a, b Route) int {
		return strings.Compare(strings.ReplaceAll(a.Path, "{", "\x7f{"), strings.ReplaceAll(b.Path, "{", "\x7f{"))
	})
}
