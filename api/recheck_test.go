package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// directory holds keys and members as the database would.
type directory struct {
	mu        sync.Mutex
	keys      map[string]auth.KeyRecord
	members   map[auth.Membership]auth.Role
	away      bool
	questions atomic.Int32 // of either kind
	asked     chan struct{}
	waiting   chan struct{} // a request waits
}

var errAway = errors.New("the database is away")

func (d *directory) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *directory) FindKey(ctx context.Context, prefix string) (auth.KeyRecord, error) {
	found, err := d.FindKeys(ctx, []string{prefix})
	if err != nil || len(found) == 0 {
		return auth.KeyRecord{}, errors.Join(err, fault.New(fault.NotFound, "no such key"))
	}
	return found[0], nil
}

func (d *directory) FindKeys(_ context.Context, prefixes []string) (found []auth.KeyRecord, err error) {
	d.questions.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return nil, errAway
	}
	for _, p := range prefixes {
		if r, ok := d.keys[p]; ok {
			found = append(found, r)
		}
	}
	return found, nil
}

func (d *directory) standings(_ context.Context, of []auth.Membership) ([]auth.Standing, error) {
	d.questions.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() {
		select {
		case d.asked <- struct{}{}:
		default:
		}
	}()
	if d.away {
		return nil, errAway
	}
	out := make([]auth.Standing, len(of))
	for i, m := range of {
		out[i] = auth.Standing{TenantExists: true, Role: d.members[m]}
	}
	return out, nil
}

// openStream is a stream that has begun.
type openStream struct {
	resp   *http.Response
	reader *bufio.Reader
}

func (r *rig) follow(t *testing.T, path, authorization string) openStream {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", authorization)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	s := openStream{resp, bufio.NewReader(resp.Body)}
	if resp.StatusCode == http.StatusOK {
		if line, err := s.reader.ReadString('\n'); err != nil || line != "retry: 1000\n" {
			t.Fatalf("the stream begins with %q, %v", line, err)
		}
	}
	return s
}

// wantClosed reads to the end and demands that it says why.
func (s openStream) wantClosed(t *testing.T, code fault.Code, detail string) {
	t.Helper()
	rest, err := io.ReadAll(s.reader)
	if err != nil {
		t.Fatalf("the stream ends with %v after %q", err, rest)
	}
	events, _ := parseEvents(string(rest))
	if len(events) == 0 {
		t.Fatalf("the stream ends without a reason: %q", rest)
	}
	last := events[len(events)-1]
	var why StreamClosed
	if err := json.Unmarshal(last.Data, &why); err != nil || last.Event != EventClosed || last.ID != 0 || why.Code != code || why.Detail != detail || why.Reconnect {
		t.Errorf("the stream ends with %+v %s, %v", last, last.Data, err)
	}
}

func recheckRig(t *testing.T) (*rig, *directory) {
	t.Helper()
	d := &directory{keys: map[string]auth.KeyRecord{}, members: map[auth.Membership]auth.Role{}, asked: make(chan struct{}, 1), waiting: make(chan struct{})}
	long := meta("wait")
	long.Timeout = time.Minute
	silent := func(ctx context.Context, _ func(...Frame) error) error { <-ctx.Done(); return nil }
	routes := []Route{
		Stream("GET", "/v1/live", auth.RunRead, meta("live"), func(context.Context, *None) (Source, error) { return silent, nil }),
		Stream("GET", "/v1/change", auth.RunUpdate, meta("change"), func(context.Context, *None) (Source, error) { return silent, nil }),
		Handle("POST", "/v1/wait", auth.RunUpdate, long, func(ctx context.Context, _ *None) (thingView, error) {
			close(d.waiting)
			<-ctx.Done()
			return thingView{Name: "as it is"}, nil
		}),
	}
	return start(t, routes, func(deps *Deps) {
		keys, err := auth.NewKeys(d)
		if err != nil {
			t.Fatal(err)
		}
		deps.Auth.Keys, deps.Standings, deps.Config.Recheck = keys, d.standings, 20*time.Millisecond
	}), d
}

func (d *directory) issue(t *testing.T, tenant uuid.UUID, role auth.Role) (plain, prefix string) {
	t.Helper()
	plain, prefix, hash, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	d.change(func() {
		d.keys[prefix] = auth.KeyRecord{ID: uuid.New(), Prefix: prefix, Hash: hash, TenantID: tenant, Role: role}
	})
	return plain, prefix
}

func (d *directory) edit(prefix string, f func(*auth.KeyRecord)) {
	d.change(func() {
		r := d.keys[prefix]
		f(&r)
		d.keys[prefix] = r
	})
}

func TestStream_EndsWithItsKey(t *testing.T) {
	t.Parallel()
	r, d := recheckRig(t)
	now := time.Now()
	for name, c := range map[string]struct {
		change func(*auth.KeyRecord)
		code   fault.Code
		detail string
	}{
		"revoked":    {func(k *auth.KeyRecord) { k.RevokedAt = &now }, fault.Unauthenticated, "the API key has been revoked"},
		"expired":    {func(k *auth.KeyRecord) { k.ExpiresAt = &now }, fault.Unauthenticated, "the API key has expired"},
		"lower role": {func(k *auth.KeyRecord) { k.Role = auth.RoleViewer }, fault.Forbidden, "This needs the permission run:update."},
		"no scope":   {func(k *auth.KeyRecord) { k.Scopes = []auth.Permission{} }, fault.Forbidden, "This needs the permission run:update."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, prefix := d.issue(t, r.tenant, auth.RoleOperator)
			first, second := r.follow(t, "/v1/change", "Bearer "+key), r.follow(t, "/v1/change", "bearer  "+key)
			other, _ := d.issue(t, r.tenant, auth.RoleOperator)
			stays := r.follow(t, "/v1/change", "Bearer "+other)
			d.edit(prefix, c.change)
			first.wantClosed(t, c.code, c.detail)
			second.wantClosed(t, c.code, c.detail)
			if a := r.follow(t, "/v1/change", "Bearer "+key); a.resp.StatusCode == 200 {
				t.Error("and can be opened again")
			}
			_ = stays.resp.Body.Close()
		})
	}
}

func TestStream_EndsWithItsToken(t *testing.T) {
	t.Parallel()
	r, _ := recheckRig(t)
	token, err := auth.Mint(secret, auth.MintConfig{Tenant: r.tenant, Role: auth.RoleViewer, Subject: "ada", TTL: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r.follow(t, "/v1/live", "Bearer "+token).wantClosed(t, fault.Unauthenticated, "The credential has expired.")
}

func TestStream_EndsWithItsMembership(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		now    auth.Role
		code   fault.Code
		detail string
	}{
		"removed": {"", fault.Forbidden, "You are no longer a member of the tenant."},
		"lowered": {auth.RoleViewer, fault.Forbidden, "This needs the permission run:update."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, d := recheckRig(t)
			ada := auth.Membership{Tenant: r.tenant, User: "ada"}
			d.change(func() { d.members[ada] = auth.RoleOperator })
			s := r.follow(t, "/v1/change", "Bearer "+r.token(t, auth.RoleOwner))
			<-d.asked
			d.change(func() {
				if d.members[ada] = c.now; c.now == "" {
					delete(d.members, ada)
				}
			})
			s.wantClosed(t, c.code, c.detail)
		})
	}
}

// Whoever the database has never known as a member has the membership from its issuer, and what cannot be checked goes on.
func TestStream_StaysOpenWhenNothingSpeaksAgainstIt(t *testing.T) {
	t.Parallel()
	r, d := recheckRig(t)
	key, prefix := d.issue(t, r.tenant, auth.RoleViewer)
	byKey, byToken := r.follow(t, "/v1/live", "Bearer "+key), r.follow(t, "/v1/live", "Bearer "+r.token(t, auth.RoleViewer))
	rounds := func(n int32) {
		for from := d.questions.Load(); d.questions.Load() < from+n; {
			<-d.asked
		}
	}
	rounds(4)
	d.change(func() { d.away = true })
	rounds(6)
	now := time.Now()
	d.change(func() { d.away = false })
	d.edit(prefix, func(k *auth.KeyRecord) { k.RevokedAt = &now })
	byKey.wantClosed(t, fault.Unauthenticated, "the API key has been revoked")
	open := make(chan error, 1)
	go func() { _, err := byToken.reader.ReadByte(); open <- err }() // the empty line after retry
	if err := <-open; err != nil {
		t.Errorf("the stream of the token has ended: %v", err)
	}
}

func TestLongPoll_EndsWithItsCredential(t *testing.T) {
	t.Parallel()
	r, d := recheckRig(t)
	key, prefix := d.issue(t, r.tenant, auth.RoleOperator)
	got := make(chan answer, 1)
	go func() {
		got <- r.do(t, request{method: "POST", path: "/v1/wait", header: map[string]string{"Authorization": "Bearer " + key}})
	}()
	<-d.waiting
	now := time.Now()
	d.edit(prefix, func(k *auth.KeyRecord) { k.RevokedAt = &now })
	a := <-got
	a.problem(t, fault.Unauthenticated)
	if a.status != 401 || strings.Contains(a.body, "as it is") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// However many answers a credential holds open, a round asks once for all.
func TestRechecker_AsksOnceForAllStreams(t *testing.T) {
	t.Parallel()
	d := &directory{keys: map[string]auth.KeyRecord{}, members: map[auth.Membership]auth.Role{}, asked: make(chan struct{}, 1)}
	keys, err := auth.NewKeys(d)
	if err != nil {
		t.Fatal(err)
	}
	a := newAuth(t)
	a.Keys = keys
	r := newRechecker(a, d.standings, time.Hour, nil)
	tenant := uuid.New()
	route := Handle("GET", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *None) (None, error) { return None{}, nil })
	var ended atomic.Int32
	for range 20 { // credentials
		key, _ := d.issue(t, tenant, auth.RoleViewer)
		p, err := keys.Authenticate(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			ctx, leave := r.join(t.Context(), &exchange{principal: p, route: &route, tenant: tenant, credential: credential{apiKey: key}})
			t.Cleanup(leave)
			context.AfterFunc(ctx, func() { ended.Add(1) })
		}
	}
	grants, _ := r.take(true)
	if len(grants) != 20 {
		t.Fatalf("10,000 streams of 20 credentials are %d grants", len(grants))
	}
	before := d.questions.Load()
	if err := r.check(t.Context(), grants); err != nil || d.questions.Load() != before+1 || ended.Load() != 0 {
		t.Errorf("%v, %d questions, %d streams ended", err, d.questions.Load()-before, ended.Load())
	}
}
