package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/telemetry"
)

var secret = bytes.Repeat([]byte("k"), auth.MinSecretBytes)

// rig is a server on the loopback with what it measured and logged.
type rig struct {
	*Server
	url      string
	tenant   uuid.UUID
	observed *observations
	logged   *lockedBuffer
	trail    *trail
}

type observation struct {
	tenant, route, method string
	status                int
}

type observations struct {
	mu  sync.Mutex
	all []observation
}

func (o *observations) observe(tenant, route, method string, status int, _ time.Duration, _ ...telemetry.Exemplar) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, observation{tenant, route, method, status})
}

func (o *observations) last(t *testing.T) observation {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == 0 {
		t.Fatal("nothing was observed")
	}
	return o.all[len(o.all)-1]
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newAuth(t testing.TB) *auth.Authenticator {
	t.Helper()
	v, err := auth.NewVerifier(auth.Config{HS256Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return &auth.Authenticator{Verifier: v}
}

// start serves the routes until the test ends.
func start(t *testing.T, routes []Route, change ...func(*Deps)) *rig {
	t.Helper()
	r := &rig{tenant: uuid.Must(uuid.NewV7()), observed: &observations{}, logged: &lockedBuffer{}, trail: newTrail(t)}
	d := Deps{Auth: newAuth(t), Trail: r.trail, Observe: r.observed.observe, Log: slog.New(slog.NewTextHandler(r.logged, nil)), Version: "test"}
	for _, f := range change {
		f(&d)
	}
	var err error
	if r.Server, err = New(d, routes); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- r.Serve(ln) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if err := r.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return r
}

func (r *rig) token(t testing.TB, role auth.Role) string {
	t.Helper()
	token, err := auth.Mint(secret, auth.MintConfig{Tenant: r.tenant, Role: role, Subject: "ada", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// request is one call; a nil header value is not sent.
type request struct {
	method, path string
	role         auth.Role // "": no credential
	header       map[string]string
	body         string
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (r *rig) do(t *testing.T, q request) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), q.method, r.url+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	if q.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.role != "" {
		req.Header.Set("Authorization", "Bearer "+r.token(t, q.role))
	}
	for name, value := range q.header {
		req.Header.Set(name, value)
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// problem reads a problem document and checks what all of them promise.
func (a answer) problem(t *testing.T, code fault.Code) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("the answer %d is not a problem document: %v: %q", a.status, err, a.body)
	}
	want, _ := translate(code)
	switch {
	case a.header.Get("Content-Type") != problemType:
		t.Errorf("content type %q", a.header.Get("Content-Type"))
	case p.Code != code:
		t.Errorf("code %q, want %q (%s)", p.Code, code, p.Detail)
	case p.Status != a.status:
		t.Errorf("the document says %d, the answer is %d", p.Status, a.status)
	case p.Type != "/problems/"+string(code) || p.Title != want.title || p.Detail == "":
		t.Errorf("type %q, title %q, detail %q", p.Type, p.Title, p.Detail)
	case p.Instance == "" || p.Instance != a.header.Get("X-Request-Id"):
		t.Errorf("instance %q, X-Request-Id %q", p.Instance, a.header.Get("X-Request-Id"))
	case want.retry != (a.header.Get("Retry-After") != ""):
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	return p
}

// The routes below stand for every kind of input and outcome.

type color string

type nested struct {
	MaxSteps *int              `json:"max_steps" validate:"omitempty,min=1,max=100"`
	Labels   map[string]string `json:"labels" validate:"max=3"`
}

type thing struct {
	ThingID uuid.UUID `path:"thing_id"`
	Dry     bool      `query:"dry"`

	Name     string          `json:"name" validate:"required,max=20"`
	Color    color           `json:"color" validate:"omitempty,oneof=red green"`
	Budget   *nested         `json:"budget"`
	Parts    []part          `json:"parts" validate:"max=3,dive"`
	Owner    *uuid.UUID      `json:"owner"`
	Due      *time.Time      `json:"due"`
	Share    float64         `json:"share" validate:"gte=0,lte=1"`
	Metadata json.RawMessage `json:"metadata"`
}

type part struct {
	Role string `json:"role" validate:"required,oneof=user assistant"`
}

type thingView struct {
	ID       uuid.UUID       `json:"id"`
	Name     string          `json:"name"`
	Dry      bool            `json:"dry"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

func (v thingView) Location() string { return "/v1/things/" + v.ID.String() }

type paging struct {
	Limit  int    `query:"limit" validate:"min=1,max=200" default:"50"`
	Cursor string `query:"cursor"`
}

type listThings struct {
	paging
	Color []color    `query:"color" validate:"dive,oneof=red green"`
	Since *time.Time `query:"since"`
	Owner *uuid.UUID `query:"owner"`
}

type follow struct {
	ThingID uuid.UUID `path:"thing_id"`
	Resume
}

func meta(id string) Meta { return Meta{ID: id, Tag: "things", Summary: "A thing"} }

func thingRoutes() []Route {
	put := meta("putThing")
	put.Status = 202
	return []Route{
		Handle("PUT", "/v1/things/{thing_id}", auth.RunCreate, put, func(_ context.Context, in *thing) (thingView, error) {
			return thingView{ID: in.ThingID, Name: in.Name, Dry: in.Dry, Metadata: in.Metadata}, nil
		}),
		Handle("GET", "/v1/things/{thing_id}", auth.RunRead, meta("getThing"), func(_ context.Context, in *struct {
			ThingID uuid.UUID `path:"thing_id"`
		},
		) (thingView, error) {
			return thingView{ID: in.ThingID, Name: "<b>&"}, nil
		}),
		Handle("GET", "/v1/things/special", auth.RunRead, meta("getSpecial"), func(context.Context, *None) (thingView, error) {
			return thingView{Name: "special"}, nil
		}),
		Handle("GET", "/v1/things", auth.RunRead, meta("listThings"), func(_ context.Context, in *listThings) (listThings, error) {
			return *in, nil
		}),
		Handle("DELETE", "/v1/things/{thing_id}", auth.AgentManage, meta("deleteThing"), func(_ context.Context, _ *struct {
			ThingID uuid.UUID `path:"thing_id"`
		},
		) (None, error) {
			return None{}, nil
		}),
		Handle("GET", "/v1/panic", auth.Public, meta("panics"), func(context.Context, *None) (None, error) {
			panic("boom: secret cause")
		}),
		Handle("POST", "/v1/fail", auth.Public, meta("fails"), func(ctx context.Context, in *struct {
			Code fault.Code `json:"code"`
		},
		) (None, error) {
			if in.Code == "" {
				<-ctx.Done()
				return None{}, ctx.Err()
			}
			return None{}, fault.Wrap(io.ErrUnexpectedEOF, in.Code, "told to fail").After(1200 * time.Millisecond)
		}),
	}
}
