package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/larirun/lari/internal/platform/fault"
)

const (
	keyCacheSize = 10_000
	// keyCacheLife is how long a revoked key may still be honoured by a process that has seen it.
	keyCacheLife = 30 * time.Second
	// absentCacheLife is how long an id that the store does not hold is not asked for again.
	absentCacheLife = 5 * time.Second
)

// KeyRecord is an API key as it is stored.
type KeyRecord struct {
	ID        uuid.UUID
	Prefix    string // the id part of the key, as NewKey gives it
	Hash      []byte // SHA-256 of the secret part
	TenantID  uuid.UUID
	Role      Role         // a tenant role; never service_role
	Scopes    []Permission // nil: all that the role grants
	ExpiresAt *time.Time   // nil: never
	RevokedAt *time.Time   // nil: not revoked
}

// KeyStore finds API keys. It is asked before a tenant is known, so it reads across tenants.
type KeyStore interface {
	// FindKey gives the key with that prefix; NotFound when there is none.
	FindKey(ctx context.Context, prefix string) (KeyRecord, error)
	// FindKeys returns those of the keys that exist, in any order.
	FindKeys(ctx context.Context, prefixes []string) ([]KeyRecord, error)
}

// Keys authenticates API keys. It is safe for concurrent use. Records are remembered for 30 s, so a
// revocation that nobody tells it of (Forget) takes that long to reach every process; expiry is checked on
// every use.
type Keys struct {
	// Used is told of each key that was let in, at most once a minute for each. It must not block, and is set
	// before the first use; nil: nobody is told.
	Used func(key uuid.UUID, at time.Time)

	store  KeyStore
	found  *lru.Cache[string, keyEntry]
	absent *lru.Cache[string, time.Time] // its own cache: made-up ids must not push real keys out
}

type keyEntry struct {
	record    KeyRecord
	principal *Principal
	until     time.Time
	told      *atomic.Int64 // when Used was told last, in Unix seconds; the next entry of the key takes it over
}

// usedEvery is how often Used is told of a key.
const usedEvery = time.Minute

// NewKeys makes an authenticator of API keys over a store.
func NewKeys(store KeyStore) (*Keys, error) {
	found, err := lru.New[string, keyEntry](keyCacheSize)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "API key cache")
	}
	absent, err := lru.New[string, time.Time](keyCacheSize)
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "API key cache")
	}
	return &Keys{store: store, found: found, absent: absent}, nil
}

// Authenticate gives the caller that a key speaks for. Errors: Unauthenticated when the key does not
// hold; those of the store, Internal when it gives an error without a code.
func (k *Keys) Authenticate(ctx context.Context, key string) (*Principal, error) {
	id, hash, err := ParseKey(key)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	e, err := k.find(ctx, id, now)
	if err != nil {
		return nil, err
	}
	// Before the secret is proved nothing about the key is told, not even that it exists.
	if subtle.ConstantTimeCompare(hash, e.record.Hash) != 1 {
		return nil, errUnknownAPIKey()
	}
	switch r := e.record; {
	case r.RevokedAt != nil:
		return nil, refuse("the API key has been revoked")
	case r.ExpiresAt != nil && !now.Before(*r.ExpiresAt):
		return nil, refuse("the API key has expired")
	case !r.Role.OfTenant() || r.TenantID == uuid.Nil:
		return nil, refuse("the API key has no tenant role")
	}
	k.use(e, now)
	return e.principal, nil
}

func (k *Keys) use(e keyEntry, now time.Time) {
	if k.Used == nil {
		return
	}
	last := e.told.Load()
	if now.Unix()-last >= int64(usedEvery/time.Second) && e.told.CompareAndSwap(last, now.Unix()) {
		k.Used(e.record.ID, now)
	}
}

// Refresh reads the records of many keys from the store at once, whatever is remembered of them. Texts that are no
// keys are passed over.
func (k *Keys) Refresh(ctx context.Context, keys []string) error {
	now, ids := time.Now(), make([]string, 0, len(keys))
	for _, key := range keys {
		if id, _, err := ParseKey(key); err == nil {
			ids = append(ids, strings.Clone(id))
		}
	}
	records, err := k.store.FindKeys(ctx, ids)
	if err != nil {
		return fmt.Errorf("read API keys anew: %w", err)
	}
	missing := make(map[string]bool, len(ids))
	for _, id := range ids {
		missing[id] = true
	}
	for _, r := range records {
		delete(missing, r.Prefix)
		k.remember(r.Prefix, r, now)
	}
	for id := range missing {
		k.found.Remove(id)
		k.absent.Add(id, now.Add(absentCacheLife))
	}
	return nil
}

// remember keeps a record for its time. The count of uses goes over to the new entry.
func (k *Keys) remember(id string, r KeyRecord, now time.Time) keyEntry {
	known, held := k.found.Peek(id)
	e := keyEntry{record: r, principal: keyPrincipal(r), until: now.Add(keyCacheLife), told: known.told}
	if !held {
		e.told = &atomic.Int64{}
	}
	k.found.Add(id, e)
	return e
}

// Forget makes the next use of the key with the prefix ask the store again.
func (k *Keys) Forget(prefix string) { k.found.Remove(prefix) }

// ForgetAll makes the next use of every key ask the store again.
func (k *Keys) ForgetAll() { k.found.Purge() }

func errUnknownAPIKey() error { return refuse("the API key is not known") }

func (k *Keys) find(ctx context.Context, id string, now time.Time) (keyEntry, error) {
	known, held := k.found.Get(id)
	if held && now.Before(known.until) {
		return known, nil
	}
	if until, ok := k.absent.Get(id); ok && now.Before(until) {
		return keyEntry{}, errUnknownAPIKey()
	}
	record, err := k.store.FindKey(ctx, id)
	id = strings.Clone(id) // it is a part of the request's header, which must not live as long as the cache
	var coded *fault.Error
	switch {
	case err == nil:
		return k.remember(id, record, now), nil
	case fault.Is(err, fault.NotFound):
		k.found.Remove(id)
		k.absent.Add(id, now.Add(absentCacheLife))
		return keyEntry{}, errUnknownAPIKey()
	case errors.As(err, &coded):
		return keyEntry{}, err
	}
	return keyEntry{}, fault.Wrap(err, fault.Internal, "the API key could not be looked up")
}

func keyPrincipal(r KeyRecord) *Principal {
	p := &Principal{
		Subject:       r.ID.String(),
		Kind:          KindAPIKey,
		Tenants:       map[uuid.UUID]Role{r.TenantID: r.Role},
		DefaultTenant: r.TenantID,
		Scopes:        slices.Clone(r.Scopes),
	}
	if r.ExpiresAt != nil {
		p.ExpiresAt = *r.ExpiresAt
	}
	return p
}
