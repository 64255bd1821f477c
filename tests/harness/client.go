package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/tests/contract"
)

// Tenant is a customer with an agent, and a client of the API on its behalf.
type Tenant struct {
	ID    uuid.UUID
	Slug  string
	URL   string // of the process that is spoken to; change it to speak to another
	Token string
	HTTP  *http.Client // nil: the default one

	described *described // nil: its answers are not held to the API's description
}

// NewTenant makes a tenant with an agent "assistant" of the given config; the zero config will do.
func (p *Process) NewTenant(t testing.TB, config agents.Config) *Tenant {
	t.Helper()
	slug := "t-" + uuid.NewString()[24:]
	made, err := tenants.NewService(p.App.DB).CreateTenant(t.Context(), tenants.NewTenant{Slug: slug}) // without an agent: it gets the test's
	if err != nil {
		t.Fatalf("make a tenant: %v", err)
	}
	x := &Tenant{ID: made.ID, Slug: slug, URL: p.URL, Token: Token(t, made.ID, auth.RoleOwner), described: &described{t: t, contract: p.contract}}
	_, err = p.App.Agents.CreateAgent(x.Context(t.Context()), agents.NewAgent{Slug: "assistant", Name: "Assistant", Config: config})
	if err != nil {
		t.Fatalf("make an agent: %v", err)
	}
	return x
}

// Nobody is a client of the process without a credential.
func (p *Process) Nobody(t testing.TB) *Tenant {
	t.Helper()
	return &Tenant{URL: p.URL, described: &described{t: t, contract: p.contract}}
}

// Context acts on behalf of the tenant below HTTP.
func (x *Tenant) Context(ctx context.Context) context.Context {
	return scope.With(ctx, scope.Scope{Tenant: x.ID, Actor: "test"})
}

// Token mints a token for the tests' secret.
func Token(t testing.TB, tenant uuid.UUID, role auth.Role) string {
	t.Helper()
	token, err := auth.Mint([]byte(Secret), auth.MintConfig{Tenant: tenant, Role: role, Subject: "tester", Audience: "authenticated", TTL: time.Hour})
	if err != nil {
		t.Fatalf("mint a token: %v", err)
	}
	return token
}

// Answer is a response, read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request. body is nil, a string sent as it is, or a value sent as JSON. Headers are pairs.
func (x *Tenant) Do(t testing.TB, method, path string, body any, headers ...string) Answer {
	t.Helper()
	a, err := x.Try(t.Context(), method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// Try is Do for requests that may break, and for other goroutines than the test's.
func (x *Tenant) Try(ctx context.Context, method, path string, body any, headers ...string) (Answer, error) {
	req, err := x.Request(ctx, method, path, body, headers...)
	if err != nil {
		return Answer{}, err
	}
	return x.Send(req)
}

// Send sends any request as it is, and holds the answer to the API's description.
func (x *Tenant) Send(req *http.Request) (Answer, error) {
	resp, err := x.client().Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	return x.read(req, resp)
}

func (x *Tenant) client() *http.Client {
	if x.HTTP != nil {
		return x.HTTP
	}
	return http.DefaultClient
}

func (x *Tenant) read(req *http.Request, resp *http.Response) (Answer, error) {
	data, err := io.ReadAll(resp.Body)
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: data}
	if err == nil {
		x.described.check(req, a)
	}
	return a, err
}

// Request makes a request as Do would send it; a body is nil, a string sent as it is, or a value sent as JSON.
func (x *Tenant) Request(ctx context.Context, method, path string, body any, headers ...string) (*http.Request, error) {
	var payload io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		payload = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, x.URL+path, payload)
	if err != nil {
		return nil, err
	}
	if x.Token != "" {
		req.Header.Set("Authorization", "Bearer "+x.Token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req, nil
}

// Want demands a status and decodes the body into the value, if there is one.
func (a Answer) Want(t testing.TB, status int, into ...any) {
	t.Helper()
	if a.Status != status {
		t.Fatalf("status %d, want %d: %s", a.Status, status, a.Body)
	}
	for _, v := range into {
		if err := json.Unmarshal(a.Body, v); err != nil {
			t.Fatalf("decode %s: %v", a.Body, err)
		}
	}
}

// Problem is what tests look at of a problem document.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Errors []struct {
		Field string `json:"field"`
		Rule  string `json:"rule"`
	} `json:"errors"`
}

// WantProblem demands a problem document with the status and code.
func (a Answer) WantProblem(t testing.TB, status int, code string) Problem {
	t.Helper()
	var p Problem
	a.Want(t, status, &p)
	if kind := a.Header.Get("Content-Type"); kind != "application/problem+json" || p.Code != code || p.Status != status {
		t.Fatalf("%s %s, want a problem %s: %s", kind, p.Code, code, a.Body)
	}
	return p
}

// Run is what tests look at of a run.
type Run struct {
	ID           uuid.UUID `json:"id"`
	Status       string    `json:"status"`
	Output       *string   `json:"output"`
	FinishReason *string   `json:"finish_reason"`
	Error        *struct {
		Code    event.ErrorCode `json:"code"`
		Message string          `json:"message"`
	} `json:"error"`
	Usage  event.Usage `json:"usage"`
	Cancel *struct {
		By        string `json:"by"`
		Reason    string `json:"reason"`
		StoppedMS *int64 `json:"stopped_ms"`
	} `json:"cancel"`
	ThreadID   *uuid.UUID `json:"thread_id"`
	FinishedAt *time.Time `json:"finished_at"`
}

// StartRun starts a run; body is a value or JSON text.
func (x *Tenant) StartRun(t testing.TB, body any) Run {
	t.Helper()
	var r Run
	x.Do(t, "POST", "/v1/runs", body).Want(t, 202, &r)
	return r
}

// FindRun gives a run.
func (x *Tenant) FindRun(t testing.TB, id uuid.UUID) Run {
	t.Helper()
	var r Run
	x.Do(t, "GET", "/v1/runs/"+id.String(), nil).Want(t, 200, &r)
	return r
}

// Stream is an open stream of server-sent events.
type Stream struct {
	Header http.Header

	request   *http.Request
	described *described
	body      io.ReadCloser
	events    *contract.Events
	stop      context.CancelFunc
}

// Follow opens the stream of a run after a position.
func (x *Tenant) Follow(t testing.TB, id uuid.UUID, after int64) *Stream {
	t.Helper()
	return x.stream(t, "GET", fmt.Sprintf("/v1/runs/%s/stream?after=%d", id, after), nil)
}

// OpenRun starts a run and streams it in the same response.
func (x *Tenant) OpenRun(t testing.TB, body any, headers ...string) *Stream {
	t.Helper()
	return x.stream(t, "POST", "/v1/runs/stream", body, headers...)
}

func (x *Tenant) stream(t testing.TB, method, path string, body any, headers ...string) *Stream {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	req, err := x.Request(ctx, method, path, body, headers...)
	if err != nil {
		stop()
		t.Fatalf("stream %s: %v", path, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		stop()
		t.Fatalf("stream %s: %v", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		data, _ := io.ReadAll(resp.Body)
		stop()
		t.Fatalf("stream %s: status %d: %s", path, resp.StatusCode, data)
	}
	x.described.check(req, Answer{Status: resp.StatusCode, Header: resp.Header})
	s := &Stream{Header: resp.Header, request: req, described: x.described, body: resp.Body, events: contract.NewEvents(resp.Body), stop: stop}
	t.Cleanup(s.Close)
	return s
}

// Close leaves the stream.
func (s *Stream) Close() {
	s.stop()
	_ = s.body.Close()
}

// Next gives the next event; io.EOF when the server has ended the stream.
func (s *Stream) Next() (event.Event, error) {
	frame, err := s.events.Next()
	if err != nil {
		return event.Event{}, err
	}
	s.described.checkEvent(s.request, frame)
	var e event.Event
	return e, json.Unmarshal(frame.Data, &e)
}

// Until reads events up to and with the first one of the type.
func (s *Stream) Until(t testing.TB, typ event.Type) []event.Event {
	t.Helper()
	var seen []event.Event
	for {
		e, err := s.Next()
		if err != nil {
			t.Fatalf("the stream broke before %s, after %v: %v", typ, Types(seen), err)
		}
		seen = append(seen, e)
		if e.Type == typ {
			return seen
		}
		if e.Final() {
			t.Fatalf("the run ended before %s: %v: %s", typ, Types(seen), e.Data)
		}
	}
}

// Rest reads to the end of the stream and demands that the last event is final.
func (s *Stream) Rest(t testing.TB) []event.Event {
	t.Helper()
	var seen []event.Event
	for {
		e, err := s.Next()
		if errors.Is(err, io.EOF) && len(seen) > 0 && seen[len(seen)-1].Final() {
			return seen
		}
		if err != nil {
			t.Fatalf("the stream broke after %v: %v", Types(seen), err)
		}
		seen = append(seen, e)
	}
}

// Types gives the types of events, deltas left out.
func Types(events []event.Event) []event.Type {
	var types []event.Type
	for _, e := range events {
		if e.Type != event.MessageDelta {
			types = append(types, e.Type)
		}
	}
	return types
}

// WantWhole demands a log without a hole: seq from 1 in steps of 1, run_started first and once, one final
// event and that last.
func WantWhole(t testing.TB, events []event.Event) {
	t.Helper()
	if err := Whole(events); err != nil {
		t.Fatal(err)
	}
}

// Whole is WantWhole for other goroutines than the test's.
func Whole(events []event.Event) error {
	started, finals := 0, 0
	for i, e := range events {
		if e.Seq != int64(i+1) {
			return fmt.Errorf("event %d has seq %d", i+1, e.Seq)
		}
		if e.Type == event.RunStarted {
			started++
		}
		if e.Final() {
			finals++
		}
	}
	if started != 1 || finals != 1 || events[0].Type != event.RunStarted || !events[len(events)-1].Final() {
		return fmt.Errorf("%d starts and %d ends: %v", started, finals, Types(events))
	}
	return nil
}

// Payload decodes an event's data.
func Payload[T any](t testing.TB, e event.Event) T {
	t.Helper()
	var p T
	if err := json.Unmarshal(e.Data, &p); err != nil {
		t.Fatalf("decode %s: %v", e.Type, err)
	}
	return p
}
