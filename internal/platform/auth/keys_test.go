package auth_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// keyTable is a store in memory; the one in Postgres belongs to a domain above this package.
type keyTable struct {
	mu      sync.Mutex
	records map[string]auth.KeyRecord
	err     error
	asked   int
}

var _ auth.KeyStore = (*keyTable)(nil)

func (s *keyTable) FindKey(_ context.Context, prefix string) (auth.KeyRecord, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil {
		return auth.KeyRecord{}, s.err
	}
	r, ok := s.records[prefix]
	if !ok {
		return auth.KeyRecord{}, fault.New(fault.NotFound, "no such key")
	}
	return r, nil
}

func (s *keyTable) FindKeys(_ context.Context, prefixes []string) (found []auth.KeyRecord, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	for _, prefix := range prefixes {
		if r, ok := s.records[prefix]; ok {
			found = append(found, r)
		}
	}
	return found, s.err
}

func (s *keyTable) put(r auth.KeyRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[string]auth.KeyRecord{}
	}
	s.records[r.Prefix] = r
}

func (s *keyTable) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *keyTable) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// issue makes a key of an operator of tenant A, changed, and stores it.
func (s *keyTable) issue(tb testing.TB, change func(*auth.KeyRecord)) string {
	tb.Helper()
	plain, id, hash := newKey(tb)
	r := auth.KeyRecord{ID: uuid.New(), Prefix: id, Hash: hash, TenantID: tenantA, Role: auth.RoleOperator}
	if change != nil {
		change(&r)
	}
	s.put(r)
	return plain
}

func newKeys(tb testing.TB, store auth.KeyStore) *auth.Keys {
	tb.Helper()
	keys, err := auth.NewKeys(store)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func TestKeyLetsIn(t *testing.T) {
	t.Parallel()
	store := &keyTable{}
	expiry := time.Now().Add(time.Hour)
	id := uuid.New()
	key := store.issue(t, func(r *auth.KeyRecord) {
		r.ID, r.Scopes, r.ExpiresAt = id, []auth.Permission{auth.RunCreate}, &expiry
	})
	p, err := newKeys(t, store).Authenticate(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if p.Subject != id.String() || p.Kind != auth.KindAPIKey || p.Service || p.DefaultTenant != tenantA ||
		!p.ExpiresAt.Equal(expiry) || !slices.Equal(p.Scopes, []auth.Permission{auth.RunCreate}) ||
		!maps.Equal(p.Tenants, map[uuid.UUID]auth.Role{tenantA: auth.RoleOperator}) {
		t.Errorf("principal %+v", p)
	}
	if !p.Can(tenantA, auth.RunCreate) || p.Can(tenantA, auth.RunRead) || p.Can(tenantB, auth.RunCreate) {
		t.Error("the scope is not what counts")
	}
}

// A key whose scopes were all taken away must not become one without limits.
func TestKeyScopesNilAndEmptyDiffer(t *testing.T) {
	t.Parallel()
	store := &keyTable{}
	keys := newKeys(t, store)
	for _, tt := range []struct {
		scopes []auth.Permission
		want   bool
	}{{nil, true}, {[]auth.Permission{}, false}} {
		p, err := keys.Authenticate(t.Context(), store.issue(t, func(r *auth.KeyRecord) { r.Scopes = tt.scopes }))
		if err != nil || p.Can(tenantA, auth.RunRead) != tt.want {
			t.Errorf("scopes %#v: can %v, error %v", tt.scopes, !tt.want, err)
		}
	}
}

func TestKeyRefusals(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Second)
	store := &keyTable{}
	stranger, id, _ := newKey(t)
	_, _, otherHash := newKey(t)
	store.put(auth.KeyRecord{Prefix: id, Hash: otherHash, TenantID: tenantA, Role: auth.RoleOwner, RevokedAt: &past})
	absent, _, _ := newKey(t)
	const unknown = "the API key is not known"
	tests := []struct{ name, key, detail string }{
		{"not a key", "secret", "the API key is not of the form lari_<12 characters>_<46 characters>"},
		{"absent", absent, unknown},
		{"wrong secret, told nothing of the revocation", stranger, unknown},
		{"no hash stored", store.issue(t, func(r *auth.KeyRecord) { r.Hash = nil }), unknown},
		{"revoked", store.issue(t, func(r *auth.KeyRecord) { r.RevokedAt = &past }), "the API key has been revoked"},
		{"expired", store.issue(t, func(r *auth.KeyRecord) { r.ExpiresAt = &past }), "the API key has expired"},
		{"service_role", store.issue(t, func(r *auth.KeyRecord) { r.Role = auth.RoleService }), "the API key has no tenant role"},
		{"no role", store.issue(t, func(r *auth.KeyRecord) { r.Role = "" }), "the API key has no tenant role"},
		{"no tenant", store.issue(t, func(r *auth.KeyRecord) { r.TenantID = uuid.Nil }), "the API key has no tenant role"},
	}
	keys := newKeys(t, store)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 2 {
				p, err := keys.Authenticate(t.Context(), tt.key)
				if p != nil {
					t.Fatalf("let in as %+v", p)
				}
				wantFault(t, err, fault.Unauthenticated, tt.detail)
				wantNoEcho(t, err, tt.key)
			}
		})
	}
}

func TestKeyRevocationIsNoticedWithinThirtySeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &keyTable{}
		keys := newKeys(t, store)
		var record auth.KeyRecord
		key := store.issue(t, func(r *auth.KeyRecord) { record = *r })
		for range 5 {
			if _, err := keys.Authenticate(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		if got := store.count(); got != 1 {
			t.Errorf("the store was asked %d times, want 1", got)
		}
		now := time.Now()
		record.RevokedAt = &now
		store.put(record)
		time.Sleep(30 * time.Second) // virtual time
		_, err := keys.Authenticate(t.Context(), key)
		wantFault(t, err, fault.Unauthenticated, "the API key has been revoked")
	})
}

func TestKeyExpiryIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &keyTable{}
		keys := newKeys(t, store)
		expiry := time.Now().Add(10 * time.Second)
		key := store.issue(t, func(r *auth.KeyRecord) { r.ExpiresAt = &expiry })
		if _, err := keys.Authenticate(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // virtual time
		_, err := keys.Authenticate(t.Context(), key)
		wantFault(t, err, fault.Unauthenticated, "the API key has expired")
		if got := store.count(); got != 1 {
			t.Errorf("the store was asked %d times, want 1", got)
		}
	})
}

func TestAbsentKeyIsAskedForEveryFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &keyTable{}
		keys := newKeys(t, store)
		plain, id, hash := newKey(t)
		for range 3 {
			_, err := keys.Authenticate(t.Context(), plain)
			wantFault(t, err, fault.Unauthenticated, "the API key is not known")
		}
		if got := store.count(); got != 1 {
			t.Errorf("the store was asked %d times, want 1", got)
		}
		store.put(auth.KeyRecord{ID: uuid.New(), Prefix: id, Hash: hash, TenantID: tenantA, Role: auth.RoleViewer})
		time.Sleep(5 * time.Second) // virtual time
		if _, err := keys.Authenticate(t.Context(), plain); err != nil {
			t.Error(err)
		}
	})
}

func TestKeyStoreFailures(t *testing.T) {
	t.Parallel()
	store := &keyTable{}
	keys := newKeys(t, store)
	key := store.issue(t, nil)
	store.fail(fault.New(fault.Unavailable, "the database cannot be reached"))
	_, err := keys.Authenticate(t.Context(), key)
	wantFault(t, err, fault.Unavailable, "the database cannot be reached")
	cause := errors.New("boom")
	store.fail(cause)
	_, err = keys.Authenticate(t.Context(), key)
	wantFault(t, err, fault.Internal, "the API key could not be looked up")
	if !errors.Is(err, cause) {
		t.Errorf("the cause is lost: %v", err)
	}
	store.fail(nil)
	if _, err := keys.Authenticate(t.Context(), key); err != nil {
		t.Errorf("a failure was remembered: %v", err)
	}
}

func TestKeysAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	store := &keyTable{}
	keys := newKeys(t, store)
	good := []string{store.issue(t, nil), store.issue(t, nil)}
	bad, _, _ := newKey(t)
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			if _, err := keys.Authenticate(t.Context(), good[n%2]); err != nil {
				t.Errorf("good: %v", err)
			}
			if _, err := keys.Authenticate(t.Context(), bad); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("bad: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestKeyUsesAreToldOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &keyTable{}
		keys := newKeys(t, store)
		told := map[uuid.UUID]int{}
		keys.Used = func(id uuid.UUID, at time.Time) {
			if !at.Equal(time.Now()) {
				t.Errorf("told of a use at %s", at)
			}
			told[id]++
		}
		id := uuid.New()
		key := store.issue(t, func(r *auth.KeyRecord) { r.ID = id })
		bad := store.issue(t, func(r *auth.KeyRecord) { r.Hash = nil })
		for range 12 { // two minutes; the record is read anew every half minute
			if _, err := keys.Authenticate(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if _, err := keys.Authenticate(t.Context(), bad); err == nil {
				t.Fatal("let in")
			}
			time.Sleep(10 * time.Second) // virtual time
		}
		if len(told) != 1 || told[id] != 2 {
			t.Errorf("told %v, want the good key twice", told)
		}
	})
}

func TestAForgottenKeyIsAskedForAgain(t *testing.T) {
	t.Parallel()
	store := &keyTable{}
	keys := newKeys(t, store)
	var record auth.KeyRecord
	key := store.issue(t, func(r *auth.KeyRecord) { record = *r })
	for n, forget := range []func(){func() {}, func() { keys.Forget(record.Prefix) }, func() { keys.Forget("another") }, keys.ForgetAll} {
		forget()
		if _, err := keys.Authenticate(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if want := []int{1, 2, 2, 3}[n]; store.count() != want {
			t.Errorf("step %d: the store was asked %d times, want %d", n, store.count(), want)
		}
	}
}

// Refresh sees at once what the memory of 30 s would hide, with one question for all keys.
func TestKeys_RefreshReadsAllAtOnce(t *testing.T) {
	t.Parallel()
	store := &keyTable{}
	a, b, c := store.issue(t, nil), store.issue(t, nil), store.issue(t, nil)
	keys := newKeys(t, store)
	for _, key := range []string{a, b, c} {
		if _, err := keys.Authenticate(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	revokedAt := time.Now()
	id, _, _ := auth.ParseKey(a)
	record := store.records[id]
	record.RevokedAt = &revokedAt
	store.put(record)
	gone, _, _ := auth.ParseKey(b)
	delete(store.records, gone)
	before := store.count()
	if err := keys.Refresh(t.Context(), []string{a, b, c, "no key"}); err != nil || store.count() != before+1 {
		t.Fatalf("%v, the store was asked %d times", err, store.count()-before)
	}
	_, err := keys.Authenticate(t.Context(), a)
	wantFault(t, err, fault.Unauthenticated, "the API key has been revoked")
	_, err = keys.Authenticate(t.Context(), b)
	wantFault(t, err, fault.Unauthenticated, "the API key is not known")
	if _, err := keys.Authenticate(t.Context(), c); err != nil || store.count() != before+1 {
		t.Errorf("%v, the store was asked %d times", err, store.count()-before)
	}
	store.fail(errors.New("away"))
	if err := keys.Refresh(t.Context(), []string{c}); err == nil {
		t.Error("a store that does not answer is no error")
	}
}
