package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// Standings says what the database knows of memberships now, in their order.
type Standings func(ctx context.Context, of []auth.Membership) ([]auth.Standing, error)

// credential is what a caller proved itself with, as it was sent.
type credential struct{ authorization, apiKey string }

// key returns the API key; "" for a token.
func (c credential) key() string {
	if c.apiKey != "" {
		return c.apiKey
	}
	if _, value, _ := strings.Cut(c.authorization, " "); strings.HasPrefix(strings.TrimSpace(value), auth.KeyPrefix) {
		return strings.TrimSpace(value)
	}
	return ""
}

// rechecker checks the credentials of answers that last (streams, downloads, requests that wait) again and again, and
// ends those whose credential no longer admits them. Answers of one credential, tenant and permission are one grant,
// which is checked once however many they are: two queries a round answer for all that is open. It has a goroutine
// while anything is open.
type rechecker struct {
	auth      *auth.Authenticator
	standings Standings // nil: there is no database of members
	every     time.Duration
	log       *slog.Logger
	wake      chan struct{} // capacity 1: there is a grant that was never checked, or no grant is left

	mu      sync.Mutex
	grants  map[grantKey]*grant
	fresh   []*grant // of them, those that were never checked
	running bool
}

func newRechecker(a *auth.Authenticator, s Standings, every time.Duration, log *slog.Logger) *rechecker {
	return &rechecker{auth: a, standings: s, every: every, log: log, wake: make(chan struct{}, 1), grants: map[grantKey]*grant{}}
}

type grantKey struct {
	credential [sha256.Size]byte
	tenant     uuid.UUID
	permission auth.Permission
}

// grant is what lasting answers were admitted by.
type grant struct {
	key        grantKey
	credential credential
	holders    map[*holder]struct{}
	member     bool // the database has said that the user is a member; only the goroutine of run reads it
}

// holder is one answer that lasts.
type holder struct{ end context.CancelCauseFunc }

var errCredentialExpired = fault.New(fault.Unauthenticated, "The credential has expired.")

// join ends the returned context when the caller of x may no longer have what it was admitted to; the cause is a
// *fault.Error. leave is called when the answer is over.
func (r *rechecker) join(ctx context.Context, x *exchange) (joined context.Context, leave func()) {
	if x.principal == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := func() { cancel(nil) }
	if at := x.principal.ExpiresAt; !at.IsZero() {
		timed, expire := context.WithDeadlineCause(ctx, at, errCredentialExpired)
		ctx, stop = timed, func() { expire(); cancel(nil) }
	}
	h := &holder{end: cancel}
	k := grantKey{sha256.Sum256([]byte(x.credential.authorization + "\n" + x.credential.apiKey)), x.tenant, x.route.Permission}
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.grants[k]
	if g == nil {
		g = &grant{key: k, credential: x.credential, holders: map[*holder]struct{}{}}
		r.grants[k] = g
		r.fresh = append(r.fresh, g)
		r.notify()
	}
	g.holders[h] = struct{}{}
	if !r.running {
		r.running = true
		go r.run()
	}
	return ctx, func() {
		stop()
		r.mu.Lock()
		defer r.mu.Unlock()
		if delete(g.holders, h); len(g.holders) == 0 && r.grants[k] == g {
			if delete(r.grants, k); len(r.grants) == 0 {
				r.notify()
			}
		}
	}
}

func (r *rechecker) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run checks each grant soon after it came, from when on a member is known as such, and all of them in every interval,
// until none is left.
func (r *rechecker) run() {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		all := false
		select {
		case <-r.wake:
		case <-tick.C:
			all = true
		}
		grants, left := r.take(all)
		if !left {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), r.every)
		if err := r.check(ctx, grants); err != nil {
			// What cannot be checked goes on: an outage of the database ends nobody's streams.
			r.log.WarnContext(ctx, "open streams could not be checked", slog.Any("error", err))
		}
		cancel()
	}
}

// take returns the grants that were never checked, or all; left is false when there is none, and run ends then.
func (r *rechecker) take(all bool) (grants []*grant, left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if grants, r.fresh = r.fresh, nil; all {
		grants = slices.Collect(maps.Values(r.grants))
	}
	r.running = len(r.grants) > 0
	return grants, r.running
}

// recheckBatch is how many keys or members one query is about.
const recheckBatch = 1000

func (r *rechecker) check(ctx context.Context, grants []*grant) error {
	var keys []string
	for _, g := range grants {
		if key := g.credential.key(); key != "" && r.auth.Keys != nil {
			keys = append(keys, key)
		}
	}
	var failed error
	for batch := range slices.Chunk(keys, recheckBatch) {
		failed = errors.Join(failed, r.auth.Keys.Refresh(ctx, batch))
	}
	var users []*grant
	for _, g := range grants {
		p, err := r.auth.Authenticate(ctx, g.credential.authorization, g.credential.apiKey)
		switch {
		case fault.Is(err, fault.Unauthenticated):
			r.end(g, err)
		case err != nil:
			failed = errors.Join(failed, err)
		case g.key.tenant == uuid.Nil:
			if !p.CanSomewhere(g.key.permission) {
				r.end(g, errPermission(g.key.permission))
			}
		case !p.Can(g.key.tenant, g.key.permission):
			r.end(g, errPermission(g.key.permission))
		case p.Kind == auth.KindUser && r.standings != nil:
			users = append(users, g)
		}
	}
	return errors.Join(failed, r.checkMembers(ctx, users))
}

// checkMembers ends what members may no longer have who were removed, or whose role was lowered, since their token was
// signed. Users whom the database has never known have their membership from their issuer alone.
func (r *rechecker) checkMembers(ctx context.Context, grants []*grant) error {
	for batch := range slices.Chunk(grants, recheckBatch) {
		of := make([]auth.Membership, len(batch))
		for i, g := range batch {
			p, err := r.auth.Authenticate(ctx, g.credential.authorization, g.credential.apiKey) // it is remembered
			if err != nil {
				continue // it has expired meanwhile: the next round ends it
			}
			of[i] = auth.Membership{Tenant: g.key.tenant, User: p.Subject}
		}
		found, err := r.standings(ctx, of)
		if err != nil {
			return err
		}
		for i, g := range batch {
			switch s := found[i]; {
			case of[i].User == "":
			case !s.TenantExists:
				r.end(g, fault.New(fault.NotFound, "The tenant does not exist any more."))
			case s.Role == "" && g.member:
				r.end(g, fault.New(fault.Forbidden, "You are no longer a member of the tenant."))
			case s.Role != "":
				if g.member = true; !s.Role.Can(g.key.permission) {
					r.end(g, errPermission(g.key.permission))
				}
			}
		}
	}
	return nil
}

func errPermission(p auth.Permission) error {
	return fault.New(fault.Forbidden, "This needs the permission %s.", p)
}

// end ends all answers of a grant. What joins after is another grant.
func (r *rechecker) end(g *grant, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grants[g.key] == g {
		delete(r.grants, g.key)
	}
	for h := range g.holders {
		h.end(why)
	}
}
