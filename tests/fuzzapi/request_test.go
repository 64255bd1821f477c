package fuzzapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/contract"
	"github.com/larirun/lari/tests/harness"
)

// nobody is the role of a user who belongs to no tenant; noToken that of who has no credential at all.
const (
	nobody  auth.Role = ""
	noToken auth.Role = "-"
)

// request is one request, before it is sent.
type request struct {
	op      *contract.Operation
	role    auth.Role
	tenant  int               // the caller's
	values  map[string]string // of the path, as they are meant
	path    string            // escaped
	query   []string          // escaped pairs
	header  http.Header
	body    []byte
	chunked bool
	what    []string // what was done to it
}

func (q *request) set(name, value string) { q.header[http.CanonicalHeaderKey(name)] = []string{value} }

func (q *request) note(format string, args ...any) {
	q.what = append(q.what, fmt.Sprintf(format, args...))
}

func (q *request) url() string {
	if len(q.query) == 0 {
		return q.path
	}
	return q.path + "?" + strings.Join(q.query, "&")
}

// text is all that the request says, to tell an echo from a leak.
func (q *request) text() string {
	return q.url() + fmt.Sprint(q.header) + string(q.body)
}

func (q *request) http(ctx context.Context, base string) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
		if q.chunked {
			body = struct{ io.Reader }{body} // its length is not known
		}
	}
	req, err := http.NewRequestWithContext(ctx, q.op.Method, base+q.url(), body)
	if err != nil {
		return nil, err
	}
	req.Header = q.header.Clone()
	return req, nil
}

// curl repeats the request from a shell; the token is the reader's to fill in.
func (q *request) curl(base string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "curl -i -X %s %s", q.op.Method, quote(base+q.url()))
	for _, name := range sortedKeys(q.header) {
		for _, v := range q.header[name] {
			if name == "Authorization" {
				v = fmt.Sprintf("Bearer $TOKEN_OF_%s_%d", strings.ToUpper(string(q.role)), q.tenant)
			}
			fmt.Fprintf(&b, " -H %s", quote(name+": "+v))
		}
	}
	if q.body != nil {
		fmt.Fprintf(&b, " --data-binary %s", quote(string(q.body)))
	}
	return b.String()
}

// quote is $'…' of the shell, cut when it is long.
func quote(s string) string {
	if len(s) > 2000 {
		s = s[:2000] + "…(" + strconv.Itoa(len(s)) + " bytes)"
	}
	return "$'" + strings.ReplaceAll(strings.Trim(strconv.QuoteToASCII(s), `"`), `'`, `\'`) + "'"
}

// plan makes the n-th request.
func (w *world) plan(seed, n uint64) *request {
	r := rand.New(rand.NewPCG(seed, n)) //nolint:gosec // repeatable on purpose
	tenants := w.tenants()
	q := &request{op: w.choose(r), role: w.role(r), tenant: r.IntN(len(tenants)), header: http.Header{}, values: map[string]string{}}
	me := tenants[q.tenant]
	other := tenants[(q.tenant+1)%len(tenants)]
	g := maker{Rand: r, doc: w.doc, pool: me.pool, marker: me.marker, receiver: w.receiver}
	if q.op.Permission == string(auth.PlatformManage) {
		g.marker = "of-the-platform" // what it says of a pause every tenant reads
	}
	if token := me.tokens[q.role]; token != "" {
		q.set("Authorization", "Bearer "+token)
	}
	if q.role == auth.RoleService && r.IntN(10) > 0 {
		q.set(auth.TenantHeader, me.ID.String())
	}
	g.fillPath(q, me, other)
	g.fillQuery(q, other)
	var body map[string]any
	if q.op.Body != nil {
		body, _ = g.value(q.op.Body, "", 0).(map[string]any)
		if g.one(30) {
			body, _ = harness.Reachable(q.op.Example, g.receiver).(map[string]any)
		}
		q.set("Content-Type", "application/json")
	}
	g.spoil(q, body, other)
	return q
}

// choose draws an operation. Runs are work for the whole machine: they are started less often. What is
// deleted is not there for others.
func (w *world) choose(r *rand.Rand) *contract.Operation {
	for {
		o := w.doc.Operations[r.IntN(len(w.doc.Operations))]
		if o.Permission != string(auth.RunCreate) && o.Method != http.MethodDelete || r.IntN(2) == 0 {
			return o
		}
	}
}

func (w *world) role(r *rand.Rand) auth.Role {
	if r.IntN(2) == 0 {
		return auth.RoleOwner
	}
	return pick(r, noToken, nobody, auth.RoleViewer, auth.RoleOperator, auth.RoleAdmin, auth.RoleOwner, auth.RoleService)
}

func (g maker) fillPath(q *request, me, other *tenant) {
	names := q.op.PathParameters()
	if len(names) == 0 {
		q.path = q.op.Path
		return
	}
	from := me
	if g.one(12) {
		from = other
		q.note("the other tenant's ids")
	}
	if thing := from.pool.pick(g.Rand, names[len(names)-1]); thing != nil {
		for _, name := range names {
			q.values[name] = thing[name]
		}
	}
	for _, name := range names {
		switch {
		case q.values[name] == "", g.one(4):
			q.values[name] = g.uuid()
		case g.one(4):
			q.values[name] = from.pool.any(g.Rand)
			q.note("%s of another kind", name)
		case g.one(3):
			q.values[name] = pick(g.Rand, string(g.garbage(20)), "..", ".", "%", "\x00", " ", "a/b", strings.Repeat("x", 5000), "0", "-1", "99999999999999999999", "assistant", g.marker)
			q.note("an odd %s", name)
		}
	}
	escaped := map[string]string{}
	for name, v := range q.values {
		escaped[name] = url.PathEscape(v)
		if v == "." || v == ".." {
			escaped[name] = strings.ReplaceAll(v, ".", "%2E")
		}
	}
	q.path = q.op.Fill(escaped)
}

func (g maker) fillQuery(q *request, other *tenant) {
	for _, p := range q.op.Parameters {
		if p.In != "query" || !p.Required && g.one(70) {
			continue
		}
		q.query = append(q.query, url.QueryEscape(p.Name)+"="+url.QueryEscape(g.parameter(q.op, p, other)))
	}
}

func (g maker) parameter(o *contract.Operation, p contract.Parameter, other *tenant) string {
	switch {
	case p.Name == "cursor" && g.one(60):
		return g.pool.cursor(g.Rand, o.ID)
	case p.Name == "cursor" && g.one(40):
		return other.pool.cursor(g.Rand, o.ID)
	case p.Name == "cursor":
		return pick(g.Rand, g.visible(40), "MDE5N2E3Yzg", "", "AAAA", strings.Repeat("A", 400))
	case g.one(20):
		return pick(g.Rand, "", "-1", "0", "1e3", "9223372036854775808", "201", "true", "null", "\x00", "\xff", "ünï", strings.Repeat("9", 300), g.uuid(), "2026-02-30T00:00:00Z", "[]", "*", "'")
	}
	switch v := g.value(p.Schema, p.Name, 0).(type) {
	case []any:
		if len(v) == 0 {
			return ""
		}
		return fmt.Sprint(v[0])
	case string:
		return v
	default:
		return strings.Trim(string(encode(v)), `"`)
	}
}

// spoil leaves a third of the requests as they are and does something to the others.
func (g maker) spoil(q *request, body map[string]any, other *tenant) {
	defer func() {
		if len(q.what) == 0 {
			q.note("valid")
		}
	}()
	times := pick(g.Rand, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3)
	mangled := false
	for range times {
		switch k := g.IntN(10); {
		case body != nil && k < 5:
			q.note("%s", g.mutateBody(body, g.properties(q.op)))
		case k < 7:
			q.note("%s", g.mutateHeader(q, other))
		case k < 9:
			q.note("%s", g.mutateQuery(q))
		default:
			mangled = true
		}
	}
	if body != nil {
		q.body = encode(body)
	}
	if mangled {
		q.note("a body %s", g.mangle(q))
	}
	if q.op.Creates() && len(q.header["Idempotency-Key"]) == 0 && g.one(20) {
		q.set("Idempotency-Key", pick(g.Rand, "again", g.word(), g.uuid()))
	}
}

func (g maker) properties(o *contract.Operation) []string {
	properties, _ := g.doc.Resolve(o.Body)["properties"].(map[string]any)
	return sortedKeys(properties)
}

func (g maker) mutateHeader(q *request, other *tenant) string {
	switch g.IntN(12) {
	case 0:
		q.set("Idempotency-Key", pick(g.Rand, "", " ", "a b", "ünï", strings.Repeat("k", 255), strings.Repeat("k", 256), "again", "\"x\"", "a,b"))
	case 1:
		q.header["Idempotency-Key"] = []string{"one", "two"}
	case 2:
		q.set("Last-Event-ID", pick(g.Rand, "0", "1", "-1", "9223372036854775807", "9223372036854775808", "x", "", "1.5", "١", "1, 2", strings.Repeat("9", 500)))
	case 3:
		q.set(auth.TenantHeader, pick(g.Rand, other.ID.String(), strings.ToUpper(other.ID.String()), "acme", "", g.uuid(), "00000000-0000-0000-0000-000000000000"))
	case 4:
		q.header["X-Tenant-Id"] = []string{other.ID.String(), other.ID.String()}
	case 5:
		q.set("X-Request-Id", pick(g.Rand, "", "a b", "<script>", strings.Repeat("r", 129), "ünï", "ok-1.2_3", "\"", strings.Repeat("r", 128)))
	case 6:
		q.header["Authorization"] = append(q.header["Authorization"], "Bearer "+g.visible(60))
	case 7:
		q.set("X-Api-Key", pick(g.Rand, "lari_"+strings.Repeat("a", 12)+"_"+strings.Repeat("b", 46), "x", "", g.visible(80)))
	case 8:
		q.set("Accept", pick(g.Rand, "text/html", "text/event-stream", "application/xml;q=0", "*/*", "", g.visible(30)))
	case 9:
		q.set("If-None-Match", pick(g.Rand, "*", "\"x\"", g.visible(30)))
	case 10:
		q.set("X-Http-Method-Override", pick(g.Rand, "DELETE", "GET", "x"))
		q.set("X-Forwarded-For", pick(g.Rand, "127.0.0.1", "::1", g.visible(30), strings.Repeat("1.1.1.1,", 400)))
	default:
		q.set("X-"+g.word(), string(slices.DeleteFunc(g.garbage(200), func(c byte) bool { return c < ' ' || c == 0x7f })))
	}
	return "odd headers"
}

func (g maker) mutateQuery(q *request) string {
	switch g.IntN(6) {
	case 0:
		q.query = append(q.query, url.QueryEscape(g.word())+"="+url.QueryEscape(g.word()))
		return "an unknown parameter"
	case 1:
		if len(q.query) > 0 {
			q.query = append(q.query, q.query[0])
			return "a parameter twice"
		}
	case 2:
		q.query = append(q.query, pick(g.Rand, "%zz", "a=%", "=", "&", "limit=%00", "limit", "cursor=%ff", "after=-1", "[]=1", "limit=1;limit=2", "%6cimit=3"))
		return "a broken query"
	case 3:
		for _, p := range q.op.Parameters {
			if p.In == "query" && g.one(50) {
				q.query = append(q.query, url.QueryEscape(p.Name)+"="+url.QueryEscape(pick(g.Rand, string(g.garbage(30)), strings.Repeat("z", 3000), "", "-1", "1e9", g.uuid())))
			}
		}
		return "odd parameters"
	case 4:
		for range 300 {
			q.query = append(q.query, "x=1")
		}
		return "many parameters"
	}
	q.query = append(q.query, url.QueryEscape(string(g.garbage(20)))+"="+url.QueryEscape(string(g.garbage(20))))
	return "a query of garbage"
}
