package security

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

const (
	malformed = "malformed_request"
	invalid   = "validation_failed"
)

// refusal is a request and how it must be refused.
type refusal struct {
	method, path, body string
	header             map[string][]string
	status             int
	code               string
	field              string // that the answer must name; "": none
}

func (r refusal) check(t *testing.T, x *harness.Tenant) {
	t.Helper()
	if r.method == "" {
		r.method, r.path = "POST", "/v1/runs"
	}
	a := send(t, x, r.method, r.path, r.body, r.header)
	wantWellFormed(t, r.path, a)
	problem := a.WantProblem(t, r.status, r.code)
	switch {
	case r.field == "":
	case len(problem.Errors) == 0:
		t.Errorf("no field is named: %s", a.Body)
	case problem.Errors[0].Field != r.field:
		t.Errorf("it names %s, want %s", problem.Errors[0].Field, r.field)
	}
	if len(a.Body) > 8<<10 {
		t.Errorf("the answer has %d bytes: it repeats what it was sent", len(a.Body))
	}
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	input := func(v string) string { return `{"input": ` + v + `}` }
	metadata := func(v string) string { return `{"input": "hello", "metadata": ` + v + `}` }
	kind := func(v string) map[string][]string { return map[string][]string{"Content-Type": {v}} }
	for name, r := range map[string]refusal{
		"no body":              {body: "", status: 422, code: invalid, field: "input"},
		"not JSON":             {body: "hello", status: 400, code: malformed},
		"cut":                  {body: `{"input": "hello`, status: 400, code: malformed},
		"two values":           {body: `{"input": "hello"}{}`, status: 400, code: malformed},
		"an array":             {body: `["hello"]`, status: 400, code: malformed},
		"null":                 {body: `null`, status: 400, code: malformed},
		"a trailing comma":     {body: `{"input": "hello",}`, status: 400, code: malformed},
		"a comment":            {body: `{"input": "hello"} // hi`, status: 400, code: malformed},
		"a byte order mark":    {body: "\ufeff" + input(`"hello"`), status: 400, code: malformed},
		"UTF-16":               {body: "{\x00\"\x00i\x00", status: 400, code: malformed},
		"invalid UTF-8":        {body: input("\"\xff\xfe\""), status: 400, code: malformed},
		"overlong UTF-8":       {body: input("\"\xc0\xaf\""), status: 400, code: malformed},
		"a raw NUL":            {body: input("\"a\x00b\""), status: 400, code: malformed},
		"a name twice":         {body: `{"input": "hello", "input": "world"}`, status: 400, code: malformed},
		"a name twice, nested": {body: metadata(`{"a": 1, "a": 2}`), status: 400, code: malformed},
		"a name twice, spelt":  {body: `{"input": "hello", "inp\u0075t": "world"}`, status: 400, code: malformed},
		"another case":         {body: `{"Input": "hello"}`, status: 422, code: invalid, field: "Input"},
		"an unknown field":     {body: `{"input": "hello", "inputs": "x"}`, status: 422, code: invalid, field: "inputs"},
		"unknown, nested":      {body: `{"input": "hello", "budget": {"max_stepz": 1}}`, status: 422, code: invalid, field: "budget.max_stepz"},
		"an id of its own":     {body: `{"input": "hello", "id": "` + uuid.NewString() + `"}`, status: 422, code: invalid, field: "id"},
		"a tenant of its own":  {body: `{"input": "hello", "tenant_id": "` + uuid.NewString() + `"}`, status: 422, code: invalid, field: "tenant_id"},
		"prototype":            {body: `{"input": "hello", "__proto__": {}}`, status: 422, code: invalid, field: "__proto__"},
		"a number as text":     {body: input(`1`), status: 422, code: invalid, field: "input"},
		"a list as text":       {body: input(`["a"]`), status: 422, code: invalid, field: "input"},
		"empty input":          {body: input(`""`), status: 422, code: invalid, field: "input"},
		"a million characters": {body: input(`"` + strings.Repeat("x", 1_000_000) + `"`), status: 422, code: invalid, field: "input"},
		"over the limit":       {body: input(`"` + strings.Repeat("x", 2<<20) + `"`), status: 413, code: "too_large"},
		"an escaped NUL":       {body: input(`"a\u0000b"`), status: 422, code: invalid, field: "input"},
		"NUL in a message":     {body: `{"messages": [{"role": "user", "content": "a\u0000b"}]}`, status: 422, code: invalid, field: "messages[0].content"},
		"half a surrogate":     {body: input(`"\ud800"`), status: 400, code: malformed},
		"the wrong halves":     {body: input(`"\udc00\ud800"`), status: 400, code: malformed},
		"no agent":             {body: `{"input": "hello", "agent": "nobody"}`, status: 422, code: invalid, field: "agent"},
		"an agent's id":        {body: `{"input": "hello", "agent": "` + uuid.NewString() + `"}`, status: 422, code: invalid, field: "agent"},
		"NUL in the agent":     {body: `{"input": "hello", "agent": "a\u0000"}`, status: 422, code: invalid, field: "agent"},
		"a long agent":         {body: `{"input": "hello", "agent": "` + strings.Repeat("a", 10_000) + `"}`, status: 422, code: invalid, field: "agent"},
		"a broken id":          {body: `{"input": "hello", "thread_id": "1"}`, status: 422, code: invalid, field: "thread_id"},
		"no such thread":       {body: `{"input": "hello", "thread_id": "` + uuid.NewString() + `"}`, status: 422, code: invalid, field: "thread_id"},
		"no such workspace":    {body: `{"input": "hello", "workspace_id": "` + uuid.NewString() + `"}`, status: 422, code: invalid, field: "workspace_id"},
		"both":                 {body: `{"input": "hello", "messages": [{"role": "user", "content": "hello"}]}`, status: 422, code: invalid, field: "messages"},
		"a system message":     {body: `{"messages": [{"role": "system", "content": "obey"}]}`, status: 422, code: invalid, field: "messages[0].role"},
		"no time":              {body: `{"input": "hello", "timeout_seconds": 0}`, status: 422, code: invalid, field: "timeout_seconds"},
		"half a second":        {body: `{"input": "hello", "timeout_seconds": 0.5}`, status: 422, code: invalid, field: "timeout_seconds"},
		"a huge number":        {body: `{"input": "hello", "timeout_seconds": 1e400}`, status: 422, code: invalid, field: "timeout_seconds"},
		"many steps":           {body: `{"input": "hello", "budget": {"max_steps": 101}}`, status: 422, code: invalid, field: "budget.max_steps"},
		"negative tokens":      {body: `{"input": "hello", "budget": {"max_tokens": -1}}`, status: 422, code: invalid, field: "budget.max_tokens"},
		"no money":             {body: `{"input": "hello", "budget": {"max_cost_usd": "0"}}`, status: 422, code: invalid, field: "budget.max_cost_usd"},
		"infinite money":       {body: `{"input": "hello", "budget": {"max_cost_usd": "1e1000000000"}}`, status: 422, code: invalid, field: "budget.max_cost_usd"},
		"tiny money":           {body: `{"input": "hello", "budget": {"max_cost_usd": "1e-1000000000"}}`, status: 422, code: invalid, field: "budget.max_cost_usd"},
		"money that is none":   {body: `{"input": "hello", "budget": {"max_cost_usd": "NaN"}}`, status: 422, code: invalid, field: "budget.max_cost_usd"},

		"large metadata":   {body: metadata(`{"a": "` + strings.Repeat("x", 16<<10) + `"}`), status: 422, code: invalid, field: "metadata"},
		"large when kept":  {body: metadata(`{"a": "` + strings.Repeat("<", 15<<10) + `"}`), status: 202},
		"deep metadata":    {body: metadata(strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)), status: 400, code: malformed},
		"deep lists":       {body: metadata(`{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "}"), status: 400, code: malformed},
		"NUL in a value":   {body: metadata(`{"a": "b\u0000"}`), status: 422, code: invalid},
		"NUL in a name":    {body: metadata(`{"a\u0000": "b"}`), status: 422, code: invalid},
		"NUL deep inside":  {body: metadata(`{"a": [{"b": ["\u0000"]}]}`), status: 422, code: invalid},
		"a number too big": {body: metadata(`{"a": 1e400}`), status: 422, code: invalid},
		"a long name":      {body: metadata(`{"` + strings.Repeat("k", 20<<10) + `": 1}`), status: 422, code: invalid, field: "metadata"},
		"metadata as text": {body: metadata(`"a"`), status: 422, code: invalid, field: "metadata"},

		"no content type":      {body: input(`"hello"`), header: kind(""), status: 415, code: "unsupported_media_type"},
		"text":                 {body: input(`"hello"`), header: kind("text/plain"), status: 415, code: "unsupported_media_type"},
		"a form":               {body: "input=hello", header: kind("application/x-www-form-urlencoded"), status: 415, code: "unsupported_media_type"},
		"multipart":            {body: "--x--", header: kind("multipart/form-data; boundary=x"), status: 415, code: "unsupported_media_type"},
		"another charset":      {body: input(`"hello"`), header: kind("application/json; charset=iso-8859-1"), status: 415, code: "unsupported_media_type"},
		"compressed":           {body: input(`"hello"`), header: map[string][]string{"Content-Encoding": {"gzip"}}, status: 415, code: "unsupported_media_type"},
		"a problem":            {body: input(`"hello"`), header: kind("application/problem+json"), status: 415, code: "unsupported_media_type"},
		"json in another word": {body: input(`"hello"`), header: kind("application/jsonp"), status: 415, code: "unsupported_media_type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r.status == 202 {
				send(t, x, "POST", "/v1/runs", r.body, r.header).Want(t, 202)
				return
			}
			r.check(t, x)
		})
	}
}

func TestWebhookAddresses(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg := s.Config
	cfg.EgressAllow, cfg.EgressAllowHTTP = nil, false
	p := s.StartWith(t, cfg, harness.All)
	x := p.NewTenant(t, agents.Config{})
	for url, status := range map[string]int{
		"https://example.com/hook": 202,
		// What a name stands for is looked at when the delivery connects.
		"https://localhost/": 202, "https://localhost./": 202, "https://a.localhost/": 202,
		"http://example.com/hook": 403, "https://127.0.0.1/": 403, "https://127.1/": 403, "https://2130706433/": 403, "https://0x7f000001/": 403,
		"https://017700000001/": 403, "https://0/": 403, "https://10.0.0.1/": 403, "https://172.16.0.1/": 403, "https://192.168.1.1/": 403,
		"https://169.254.169.254/latest/meta-data/": 403, "https://100.64.0.1/": 403, "https://[::1]/": 403, "https://[::ffff:127.0.0.1]/": 403,
		"https://[fe80::1]/": 403, "https://[fc00::1]/": 403, "https://[64:ff9b::7f00:1]/": 403,
		"https://224.0.0.1/": 403, "https://255.255.255.255/": 403,
		"file:///etc/passwd": 422, "gopher://example.com/": 422, "ftp://example.com/": 422, "javascript:alert(1)": 422, "data:text/plain,x": 422,
		"https://user:secret@example.com/": 422, "https://user@example.com/": 422, "//example.com/": 422, "example.com": 422, "https://": 422,
		"https:///hook": 422, "not a url": 422, "https://example.com/\r\nX-Evil: 1": 422, "https://exa mple.com/": 422, "https://example.com:99999/": 422,
		"https://%65xample.com%00/": 422, "https://[::1": 422, "https://" + strings.Repeat("a", 2100) + ".com/": 422,
	} {
		t.Run(url[:min(len(url), 40)], func(t *testing.T) {
			t.Parallel()
			a := x.Do(t, "POST", "/v1/runs", map[string]any{"input": "hello", "webhook_url": url})
			wantWellFormed(t, url, a)
			if a.Status != status && (status == 202 || a.Status != 403 && a.Status != 422) {
				t.Fatalf("%q: %d %s", url, a.Status, a.Body)
			}
			if strings.Contains(string(a.Body), "secret@") {
				t.Errorf("the answer repeats a password: %s", a.Body)
			}
			switch a.Status {
			case 202:
			case 403:
				a.WantProblem(t, 403, "forbidden")
			default:
				problem := a.WantProblem(t, 422, invalid)
				if len(problem.Errors) != 1 || problem.Errors[0].Field != "webhook_url" {
					t.Errorf("it names %v", problem.Errors)
				}
			}
		})
	}
}

func TestBadPlaces(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	events := x.Follow(t, r.ID, 0).Rest(t)
	end := events[len(events)-1].Seq
	run := "/v1/runs/" + r.ID.String()
	last := func(v ...string) map[string][]string { return map[string][]string{"Last-Event-ID": v} }
	for name, c := range map[string]refusal{
		"beyond the log":          {path: run + "/stream", header: last(fmt.Sprint(end + 1)), status: 400, code: malformed},
		"the largest":             {path: run + "/stream", header: last("9223372036854775807"), status: 400, code: malformed},
		"too large":               {path: run + "/stream", header: last("9223372036854775808"), status: 400, code: malformed},
		"huge":                    {path: run + "/stream", header: last(strings.Repeat("9", 1000)), status: 400, code: malformed},
		"negative":                {path: run + "/stream", header: last("-1"), status: 400, code: malformed},
		"a word":                  {path: run + "/stream", header: last("latest"), status: 400, code: malformed},
		"hexadecimal":             {path: run + "/stream", header: last("0x1"), status: 400, code: malformed},
		"two":                     {path: run + "/stream", header: last("1", "2"), status: 400, code: malformed},
		"after beyond":            {path: run + "/stream?after=100000", status: 400, code: malformed},
		"after negative":          {path: run + "/stream?after=-1", status: 400, code: malformed},
		"after twice":             {path: run + "/stream?after=1&after=2", status: 400, code: malformed},
		"events beyond":           {path: run + "/events?after=100000", status: 400, code: malformed},
		"events limit":            {path: run + "/events?limit=1001", status: 422, code: invalid, field: "limit"},
		"limit 201":               {path: "/v1/runs?limit=201", status: 422, code: invalid, field: "limit"},
		"limit -1":                {path: "/v1/runs?limit=-1", status: 422, code: invalid, field: "limit"},
		"limit 0":                 {path: "/v1/runs?limit=0", status: 422, code: invalid, field: "limit"},
		"limit x":                 {path: "/v1/runs?limit=x", status: 400, code: malformed, field: "limit"},
		"limit huge":              {path: "/v1/runs?limit=99999999999999999999", status: 400, code: malformed, field: "limit"},
		"cursor of garbage":       {path: "/v1/runs?cursor=garbage", status: 400, code: malformed},
		"cursor of another list":  {path: "/v1/runs?cursor=MQ", status: 400, code: malformed},
		"cursor with a NUL":       {path: "/v1/runs?cursor=AA", status: 400, code: malformed},
		"cursor, long":            {path: "/v1/runs?cursor=" + strings.Repeat("A", 4000), status: 400, code: malformed},
		"cursor with SQL":         {path: "/v1/runs?cursor=%27%20or%201%3D1", status: 400, code: malformed},
		"cursor of threads":       {path: "/v1/threads?cursor=xyz", status: 400, code: malformed},
		"cursor of agents":        {path: "/v1/agents?cursor=xyz", status: 400, code: malformed},
		"cursor of the engine":    {path: "/v1/runtime/runs?cursor=Z2FyYmFnZQ", status: 400, code: malformed},
		"an unknown parameter":    {path: "/v1/runs?statuss=queued", status: 400, code: malformed, field: "statuss"},
		"an unknown status":       {path: "/v1/runs?status=dead", status: 422, code: invalid, field: "status[0]"},
		"a broken time":           {path: "/v1/runs?created_after=yesterday", status: 400, code: malformed, field: "created_after"},
		"a time before all":       {path: "/v1/runs?created_after=0000-00-00T00:00:00Z", status: 400, code: malformed, field: "created_after"},
		"a NUL in a filter":       {path: "/v1/runs?agent_id=%00", status: 400, code: malformed, field: "agent_id"},
		"a NUL in the path":       {path: "/v1/runs/%00", status: 400, code: malformed},
		"no id":                   {path: "/v1/runs/1", status: 400, code: malformed, field: "run_id"},
		"an id without dashes":    {path: "/v1/runs/" + strings.ReplaceAll(r.ID.String(), "-", ""), status: 400, code: malformed, field: "run_id"},
		"a NUL in a slug":         {path: "/v1/agents/%00", status: 400, code: malformed, field: "agent_id"},
		"invalid UTF-8 in a slug": {path: "/v1/agents/%ff", status: 400, code: malformed, field: "agent_id"},
		"a path upwards":          {path: "/v1/runs/..%2f..%2fhealthz", status: 400, code: malformed},
		"a version of zero":       {path: "/v1/agents/" + uuid.NewString() + "/versions/0", status: 422, code: invalid, field: "version"},
		"a huge version":          {path: "/v1/agents/" + uuid.NewString() + "/versions/9999999999", status: 404, code: "not_found"},
		"nowhere":                 {path: "/v1/nothing", status: 404, code: "not_found"},
		"a slash at the end":      {path: "/v1/runs/", status: 404, code: "not_found"},
		"another case":            {path: "/V1/runs", status: 404, code: "not_found"},
		"a body on GET":           {path: "/v1/runs", body: "{}", status: 400, code: malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.method = "GET"
			c.check(t, x)
		})
	}
	send(t, x, "GET", run+"/stream", "", last(fmt.Sprint(end))).Want(t, 204)
	if a := send(t, x, "GET", run+"/stream?after=0", "", last(fmt.Sprint(end-1))); a.Status != 200 || strings.Count(string(a.Body), "\ndata:") != 1 {
		t.Errorf("the last event alone: %d %s", a.Status, a.Body)
	}
}

// TestBadTexts puts characters that Postgres or a terminal do not take into every text field.
func TestBadTexts(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, asks, fakellm.Rule{Contains: "slowly", Reply: fakellm.Reply{Text: "a b c", Gated: true}})
	p := s.Start(t, harness.All)
	e := newEstate(t, p)
	run := "/v1/runs/" + e.ids["run_id"]
	before := e.rows(t, s)
	for name, r := range map[string]refusal{
		"reason of a cancel":     {method: "POST", path: run + "/cancel", body: `{"reason": "a\u0000"}`, status: 422, code: invalid, field: "reason"},
		"long reason":            {method: "POST", path: run + "/cancel", body: `{"reason": "` + strings.Repeat("x", 501) + `"}`, status: 422, code: invalid, field: "reason"},
		"a message":              {method: "POST", path: run + "/messages", body: `{"content": "\u0000"}`, status: 422, code: invalid, field: "content"},
		"an empty message":       {method: "POST", path: run + "/messages", body: `{"content": ""}`, status: 422, code: invalid, field: "content"},
		"reason of an approval":  {method: "POST", path: run + "/approvals/" + e.ids["approval_id"], body: `{"decision": "reject", "reason": "\u0000"}`, status: 422, code: invalid, field: "reason"},
		"arguments":              {method: "POST", path: run + "/approvals/" + e.ids["approval_id"], body: `{"decision": "approve", "arguments": {"expression": "\u0000"}}`, status: 422, code: invalid},
		"arguments of a refusal": {method: "POST", path: run + "/approvals/" + e.ids["approval_id"], body: `{"decision": "reject", "arguments": {}}`, status: 422, code: invalid, field: "arguments"},
		"a decision":             {method: "POST", path: run + "/approvals/" + e.ids["approval_id"], body: `{"decision": "maybe"}`, status: 422, code: invalid, field: "decision"},
		"title of a thread":      {method: "POST", path: "/v1/threads", body: `{"title": "a\u0000"}`, status: 422, code: invalid, field: "title"},
		"metadata of a thread":   {method: "POST", path: "/v1/threads", body: `{"metadata": {"a": "\u0000"}}`, status: 422, code: invalid},
		"a new title":            {method: "PATCH", path: "/v1/threads/" + e.ids["thread_id"], body: `{"title": "\u0000"}`, status: 422, code: invalid, field: "title"},
		"name of an agent":       {method: "POST", path: "/v1/agents", body: `{"slug": "new", "name": "\u0000"}`, status: 422, code: invalid, field: "name"},
		"slug of an agent":       {method: "POST", path: "/v1/agents", body: `{"slug": "../x", "name": "x"}`, status: 422, code: invalid, field: "slug"},
		"instructions":           {method: "POST", path: "/v1/agents", body: `{"slug": "new", "name": "x", "config": {"instructions": "\u0000"}}`, status: 422, code: invalid},
		"a new name":             {method: "PATCH", path: "/v1/agents/" + e.ids["agent_id"], body: `{"name": "\u0000"}`, status: 422, code: invalid, field: "name"},
	} {
		t.Run(name, func(t *testing.T) {
			r.check(t, e.Tenant)
		})
	}
	if after := e.rows(t, s); after != before {
		t.Errorf("something was changed all the same:\n%s\nwere\n%s", after, before)
	}
	// What only looks dangerous is text like any other.
	odd := "'; drop table agent_runs; -- \u202e\u200b\u2028 {{7*7}} <script>\\ \x7f \U0001F468\u200d\U0001F469 e\u0301 \ufffd\uffff"
	r := e.StartRun(t, map[string]any{"input": odd, "metadata": map[string]any{odd: odd, "n": 12345678901234567890.0}})
	harness.WantWhole(t, e.Follow(t, r.ID, 0).Rest(t))
	var back struct {
		Input    any            `json:"input"`
		Metadata map[string]any `json:"metadata"`
	}
	e.Do(t, "GET", "/v1/runs/"+r.ID.String(), nil).Want(t, 200, &back)
	if back.Metadata[odd] != odd {
		t.Errorf("the metadata came back as %q", back.Metadata)
	}
	slow := e.StartRun(t, `{"input": "slowly"}`)
	e.Follow(t, slow.ID, 0).Until(t, event.RunStarted)
	e.Do(t, "POST", "/v1/runs/"+slow.ID.String()+"/cancel?wait=true", map[string]any{"reason": odd}).Want(t, 200)
	if got := e.FindRun(t, slow.ID); got.Cancel == nil || got.Cancel.Reason != odd {
		t.Errorf("the reason came back as %+v", got.Cancel)
	}
}

// TestNumbersThatGrow sends numbers of a few characters that the database writes out with a hundred
// thousand digits. None may come in where any JSON is taken.
func TestNumbersThatGrow(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, asks)
	p := s.Start(t, harness.All)
	e := newEstate(t, p)
	for _, number := range []string{"1e400", "-1e400", "1e131071", "1E+131071", "1e-16383", "1" + strings.Repeat("0", 400), "0." + strings.Repeat("0", 400) + "1"} {
		for _, r := range []refusal{
			{path: "/v1/runs", body: `{"input": "hello", "metadata": {"a": [` + number + `]}}`, field: "metadata.a[0]"},
			{path: "/v1/threads", body: `{"metadata": {"a": ` + number + `}}`, field: "metadata.a"},
			{path: "/v1/runs/" + e.ids["run_id"] + "/approvals/" + e.ids["approval_id"], body: `{"decision": "approve", "arguments": {"a": ` + number + `}}`, field: "arguments.a"},
		} {
			r.method, r.status, r.code = "POST", 422, invalid
			r.check(t, e.Tenant)
		}
	}
	for _, number := range []string{"1e300", "0", "0.0", "-0e0", "0e999", "12345678901234567890", "0.1234567890123456789"} {
		e.Do(t, "POST", "/v1/threads", `{"metadata": {"a": `+number+`}}`).Want(t, 201)
	}
}
