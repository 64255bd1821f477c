package tenants

import (
	"context"
	"net/mail"
	"unicode"
	"unicode/utf8"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/storable"
)

// Member is a user of a tenant.
type Member struct {
	UserID    string     `json:"user_id" description:"The sub of the user's tokens: with Supabase Auth the id of the user." example:"8f14e45f-ceea-4e7b-9c1d-0a1b2c3d4e5f"`
	Email     string     `json:"email" description:"For people to recognise the user by; empty when it was not given." example:"ada@example.com"`
	Role      auth.Role  `json:"role" enum:"viewer,operator,admin,owner" description:"What the user may do in the tenant."`
	CreatedBy string     `json:"created_by" description:"Who added the user."`
	CreatedAt clock.Time `json:"created_at" description:"When the user was added."`
	UpdatedBy string     `json:"updated_by" description:"Who changed the member last."`
	UpdatedAt clock.Time `json:"updated_at" description:"When the member was changed last."`
}

// MemberUpdate says what a user is to be in a tenant.
type MemberUpdate struct {
	Role  auth.Role `json:"role" validate:"required,oneof=viewer operator admin owner" enum:"viewer,operator,admin,owner" description:"What the user may do in the tenant; not more than you may."`
	Email *string   `json:"email,omitempty" validate:"omitempty,max=320" description:"For people to recognise the user by; absent: as it is." example:"ada@example.com"`
}

// maxUserID bounds a user's id, in bytes: a cursor of the list holds one.
const maxUserID = 190

func checkUserID(id string) error {
	ok := id != "" && len(id) <= maxUserID && utf8.ValidString(id)
	for _, c := range id {
		ok = ok && c != ' ' && unicode.IsPrint(c)
	}
	if !ok {
		return fault.InvalidField("user_id", "user_id", "must be 1 to %d bytes without spaces or control characters, as the sub of a token", maxUserID)
	}
	return nil
}

func (u MemberUpdate) check(caller auth.Role) error {
	switch {
	case !u.Role.OfTenant():
		return fault.InvalidField("role", "oneof", "must be one of viewer, operator, admin, owner")
	case !caller.AtLeast(u.Role):
		return fault.New(fault.Forbidden, "You are %s: you cannot make anybody %s.", caller, u.Role)
	case u.Email == nil || *u.Email == "":
		return nil
	}
	if a, err := mail.ParseAddress(*u.Email); err != nil || a.Address != *u.Email || !storable.IsText(*u.Email) {
		return fault.InvalidField("email", "email", "must be an address like ada@example.com")
	}
	return nil
}

// FindMember gives a member.
func (s *Service) FindMember(ctx context.Context, user string) (Member, error) {
	return s.store.member(ctx, user)
}

// FindMembers gives the members in the order of their user ids; only those with the role, unless it is "".
func (s *Service) FindMembers(ctx context.Context, role auth.Role, p page.Request) (page.Page[Member], error) {
	limit, after, err := p.Start()
	if err != nil {
		return page.Page[Member]{}, err
	}
	found, err := s.store.members(ctx, role, after, limit+1)
	return page.Of(found, limit, func(m Member) string { return m.UserID }), err
}

// PutMember adds a user or changes what the user is; created tells which. It reaches the user's tokens when
// they are signed next. fault.Forbidden for a role that grants more, or for longer, than the caller holds, and for a
// change of a member above the caller; fault.Conflict when the tenant would lose its last owner.
func (s *Service) PutMember(ctx context.Context, user string, u MemberUpdate) (m Member, created bool, err error) {
	caller := scope.From(ctx)
	role, _ := auth.From(ctx).Role(caller.Tenant)
	if err := checkUserID(user); err != nil {
		return Member{}, false, err
	}
	if err := u.check(role); err != nil {
		return Member{}, false, err
	}
	at := now()
	err = s.db.Tx(ctx, func(ctx context.Context) error {
		known, owners, err := s.store.lockMember(ctx, caller.Tenant, user)
		if err != nil {
			return err
		}
		created = known == ""
		if !created && !role.AtLeast(known) {
			return fault.New(fault.Forbidden, "You are %s: you cannot change an %s.", role, known)
		}
		if g := (grant{role: u.Role}); created || g.extends(grant{role: known}) {
			if err := g.check(auth.From(ctx), caller.Tenant); err != nil {
				return err
			}
		}
		if known == auth.RoleOwner && u.Role != auth.RoleOwner && owners == 1 {
			return errLastOwner()
		}
		m, err = s.store.putMember(ctx, caller.Tenant, user, u, caller.Actor, at)
		return err
	})
	return m, created, err
}

// RemoveMember takes a user out of the tenant. Tokens that were signed before hold until they expire. Errors
// as for PutMember.
func (s *Service) RemoveMember(ctx context.Context, user string) error {
	tenant := scope.Tenant(ctx)
	role, _ := auth.From(ctx).Role(tenant)
	return s.db.Tx(ctx, func(ctx context.Context) error {
		known, owners, err := s.store.lockMember(ctx, tenant, user)
		switch {
		case err != nil:
			return err
		case known == "":
			return errNoMember(user)
		case !role.AtLeast(known):
			return fault.New(fault.Forbidden, "You are %s: you cannot remove an %s.", role, known)
		case known == auth.RoleOwner && owners == 1:
			return errLastOwner()
		}
		return s.store.deleteMember(ctx, user)
	})
}

func errNoMember(user string) error {
	return fault.New(fault.NotFound, "There is no member %s.", user)
}

func errLastOwner() error {
	return fault.New(fault.Conflict, "The user is the tenant's last owner: make somebody else an owner first.")
}
