package tenants

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/scope"
)

// IssueKey makes an API key for the context's caller, which gives no more than it has: neither a role above
// its own nor a permission that it lacks, and a key is not outlived by those that it makes. The secret is
// given once and kept nowhere; for a NewKey whose id is known the key that exists is given, without it.
// Errors: Forbidden, Invalid.
func (s *Service) IssueKey(ctx context.Context, n NewKey) (k Key, plain string, err error) {
	caller := auth.From(ctx)
	if end := caller.GrantsUntil(); n.ExpiresAt == nil && !end.IsZero() {
		n.ExpiresAt = &end
	}
	if err := n.check(now()); err != nil {
		return Key{}, "", err
	}
	if err := (grant{n.Role, n.Scopes, clock.Ref(n.ExpiresAt)}).check(caller, scope.Tenant(ctx)); err != nil {
		return Key{}, "", err
	}
	return s.CreateKey(ctx, n)
}

// CreateKey makes an API key on the authority of the program. The secret is given once and kept nowhere. For
// a NewKey whose id is known it gives the key that exists, and no secret.
func (s *Service) CreateKey(ctx context.Context, n NewKey) (k Key, plain string, err error) {
	caller := scope.From(ctx)
	k, hash, plain, err := n.build(caller.Tenant, caller.Actor, now())
	if err != nil {
		return Key{}, "", err
	}
	created, err := s.store.insertKey(ctx, k, hash)
	switch {
	case err != nil:
		return Key{}, "", err
	case !created:
		k, err = s.store.findKey(ctx, k.ID)
		return k, "", err
	}
	return k, plain, nil
}

// EnsureKey creates an API key unless the tenant has one of its name that is neither revoked nor over, on the
// authority of the program. The secret is "" for a key that exists. Concurrent calls create one key.
func (s *Service) EnsureKey(ctx context.Context, n NewKey) (k Key, plain string, err error) {
	err = s.db.Tx(ctx, func(ctx context.Context) error {
		known, err := s.store.lockKeyNamed(ctx, n.Name, now())
		if err != nil {
			return err
		}
		if known != nil {
			k, plain = *known, ""
			return nil
		}
		k, plain, err = s.CreateKey(ctx, n)
		return err
	})
	return k, plain, err
}

// FindAPIKey gives a key.
func (s *Service) FindAPIKey(ctx context.Context, id uuid.UUID) (Key, error) {
	return s.store.findKey(ctx, id)
}

// FindAPIKeys gives the keys, newest first; revoked ones only when they are asked for.
func (s *Service) FindAPIKeys(ctx context.Context, revoked bool, p page.Request) (page.Page[Key], error) {
	limit, before, err := p.StartBefore()
	if err != nil {
		return page.Page[Key]{}, err
	}
	found, err := s.store.listKeys(ctx, revoked, before, limit+1)
	return page.Of(found, limit, func(k Key) string { return k.ID.String() }), err
}

// UpdateKey changes the name or the end of a key. Who prolongs a key could have made it: fault.Forbidden
// otherwise. fault.Conflict for a revoked one.
func (s *Service) UpdateKey(ctx context.Context, id uuid.UUID, u KeyUpdate) (k Key, err error) {
	if err := u.check(now()); err != nil {
		return Key{}, err
	}
	var name *string
	if u.Name != nil {
		good, err := goodName(*u.Name)
		if err != nil {
			return Key{}, err
		}
		name = &good
	}
	err = s.db.Tx(ctx, func(ctx context.Context) error {
		if k, err = s.store.lockKey(ctx, id); err != nil {
			return err
		}
		if k.RevokedAt != nil {
			return fault.New(fault.Conflict, "The key has been revoked: make another.")
		}
		end := k.ExpiresAt
		if u.ExpiresAt != nil || u.NeverExpires {
			end = clock.Ref(u.ExpiresAt)
		}
		changed := grant{k.Role, k.Scopes, end}
		if changed.extends(grant{k.Role, k.Scopes, k.ExpiresAt}) {
			if err := changed.check(auth.From(ctx), k.TenantID); err != nil {
				return err
			}
		}
		if name != nil {
			k.Name = *name
		}
		k.ExpiresAt = end
		return s.store.updateKey(ctx, k)
	})
	return k, err
}

// Revoke ends a key for good and gives it. Other processes hear of it at once, or forget the key within 30
// seconds. One that was revoked before stays so.
func (s *Service) Revoke(ctx context.Context, id uuid.UUID) (Key, error) {
	if err := s.store.revokeKey(ctx, id, now()); err != nil {
		return Key{}, err
	}
	return s.store.findKey(ctx, id)
}

// RevokeKey is Revoke for who knows the key.
func (s *Service) RevokeKey(ctx context.Context, id uuid.UUID) error {
	return s.store.revokeKey(ctx, id, now())
}
