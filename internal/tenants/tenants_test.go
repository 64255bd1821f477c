package tenants_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/tenants"
)

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v has the code %q, want %q", err, fault.CodeOf(err), code)
	}
}

func TestANewTenantHasAWorkspace(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	acme, err := s.CreateTenant(t.Context(), tenants.NewTenant{Slug: "acme"})
	if err != nil || acme.Name != "acme" {
		t.Fatalf("%+v, error %v", acme, err)
	}
	ctx := scope.With(t.Context(), scope.Scope{Tenant: acme.ID})
	byID, err := s.FindTenantByID(ctx, acme.ID)
	bySlug, err2 := s.FindTenantBySlug(t.Context(), "acme")
	if byID != acme || bySlug != acme || err != nil || err2 != nil {
		t.Errorf("found %+v (%v) and %+v (%v), want %+v", byID, err, bySlug, err2, acme)
	}
	w, err := s.FindWorkspace(ctx, tenants.DefaultWorkspace)
	same, err2 := s.FindWorkspace(ctx, w.ID.String())
	if err != nil || err2 != nil || w.TenantID != acme.ID || same != w {
		t.Errorf("workspace %+v (%v), by id %+v (%v)", w, err, same, err2)
	}

	other, err := s.CreateTenant(ctx, tenants.NewTenant{Slug: "other", Name: " Other Ltd "})
	if err != nil || other.Name != "Other Ltd" {
		t.Fatalf("a tenant made by somebody of another one: %+v, error %v", other, err)
	}
	_, err = s.FindTenantByID(ctx, other.ID)
	wantCode(t, err, fault.NotFound)
	if found, err := s.FindTenantByID(postgres.AsSystem(ctx), other.ID); err != nil || found != other {
		t.Errorf("the system found %+v, error %v", found, err)
	}
	_, err = s.FindWorkspace(scope.With(t.Context(), scope.Scope{Tenant: other.ID}), w.ID.String())
	wantCode(t, err, fault.NotFound)
	_, err = s.FindTenantBySlug(t.Context(), "nobody")
	wantCode(t, err, fault.NotFound)
	_, err = s.FindWorkspace(ctx, "nothing")
	wantCode(t, err, fault.NotFound)
}

func TestSlugs(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	for slug, code := range map[string]fault.Code{
		"a": "", "0-a": "", strings.Repeat("a", 63): "",
		"": fault.Invalid, "-a": fault.Invalid, "A": fault.Invalid, "a b": fault.Invalid, "ä": fault.Invalid, "a\n": fault.Invalid,
		strings.Repeat("a", 64): fault.Invalid, uuid.NewString(): fault.Invalid, strings.ReplaceAll(uuid.NewString(), "-", ""): fault.Invalid,
	} {
		if _, err := s.CreateTenant(t.Context(), tenants.NewTenant{Slug: slug}); fault.CodeOf(err) != code {
			t.Errorf("%q: error %v, want the code %q", slug, err, code)
		}
	}
	_, err := s.CreateTenant(t.Context(), tenants.NewTenant{Slug: "b", Name: strings.Repeat("ä", 201)})
	wantCode(t, err, fault.Invalid)
}

func TestASlugBelongsToOneTenant(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, err := s.CreateTenant(t.Context(), tenants.NewTenant{Slug: "acme"}); {
			case err == nil:
				made.Add(1)
			case !fault.Is(err, fault.Conflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d tenants were made", made.Load())
	}
	var workspaces int
	if err := d.Conn(t).QueryRow(t.Context(), `select count(*) from workspaces`).Scan(&workspaces); err != nil || workspaces != 1 {
		t.Errorf("%d workspaces are there (error %v), want 1", workspaces, err)
	}
}

func TestAKeyFromItsMakingToItsEnd(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	expires := time.Now().Add(time.Hour)
	key, plain, err := s.CreateKey(ctx, tenants.NewKey{
		Name: " ci ", Role: auth.RoleOperator, Scopes: []auth.Permission{auth.RunCreate, auth.RunRead}, ExpiresAt: &expires,
	})
	if err != nil {
		t.Fatal(err)
	}
	if key.Name != "ci" || key.TenantID != tenant || key.CreatedBy != "test" || key.RevokedAt != nil {
		t.Errorf("made %+v", key)
	}
	// Each authenticator is a process that has not seen the key.
	authenticate := func() (*auth.Principal, error) {
		keys, err := auth.NewKeys(s)
		if err != nil {
			t.Fatal(err)
		}
		return keys.Authenticate(t.Context(), plain)
	}
	p, err := authenticate()
	if err != nil {
		t.Fatal(err)
	}
	if role, _ := p.Role(tenant); role != auth.RoleOperator || p.Subject != key.ID.String() || len(p.Scopes) != 2 || p.ExpiresAt.IsZero() {
		t.Errorf("the key speaks for %+v", p)
	}
	stranger, _ := d.Tenant(t, "other")
	wantCode(t, s.RevokeKey(stranger, key.ID), fault.NotFound)
	wantCode(t, s.RevokeKey(ctx, uuid.New()), fault.NotFound)
	if _, err := authenticate(); err != nil {
		t.Errorf("a stranger's attempt ended the key: %v", err)
	}
	if err := errors.Join(s.RevokeKey(ctx, key.ID), s.RevokeKey(ctx, key.ID)); err != nil {
		t.Fatal(err)
	}
	_, err = authenticate()
	wantCode(t, err, fault.Unauthenticated)
	_, err = s.FindKey(t.Context(), "none")
	wantCode(t, err, fault.NotFound)

	var stored string
	err = d.Conn(t).QueryRow(t.Context(), `select row_to_json(k)::text || encode(hash, 'escape') from api_keys k`).Scan(&stored)
	if secret := plain[len(plain)-46:]; err != nil || strings.Contains(stored, secret[:40]) {
		t.Errorf("the secret is in the row (error %v)", err)
	}
}

func TestAnUnscopedKey(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	key, _, err := s.CreateKey(ctx, tenants.NewKey{Name: "all", Role: auth.RoleAdmin})
	if err != nil {
		t.Fatal(err)
	}
	record, err := s.FindKey(t.Context(), key.Prefix)
	if err != nil || record.Scopes != nil || record.ExpiresAt != nil || record.TenantID != tenant || record.ID != key.ID {
		t.Errorf("stored as %+v, error %v", record, err)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, _ := d.Tenant(t, "acme")
	past := time.Now().Add(-time.Second)
	for name, tc := range map[string]struct {
		key   tenants.NewKey
		field string
	}{
		"no name":           {tenants.NewKey{Name: "  ", Role: auth.RoleViewer}, "name"},
		"a long name":       {tenants.NewKey{Name: strings.Repeat("a", 201), Role: auth.RoleViewer}, "name"},
		"no role":           {tenants.NewKey{Name: "a"}, "role"},
		"the platform's":    {tenants.NewKey{Name: "a", Role: auth.RoleService}, "role"},
		"expired":           {tenants.NewKey{Name: "a", Role: auth.RoleViewer, ExpiresAt: &past}, "expires_at"},
		"no scope at all":   {tenants.NewKey{Name: "a", Role: auth.RoleViewer, Scopes: []auth.Permission{}}, "scopes"},
		"an unknown scope":  {tenants.NewKey{Name: "a", Role: auth.RoleViewer, Scopes: []auth.Permission{"run:fly"}}, "scopes"},
		"more than a role":  {tenants.NewKey{Name: "a", Role: auth.RoleViewer, Scopes: []auth.Permission{auth.RunCreate}}, "scopes"},
		"the same twice":    {tenants.NewKey{Name: "a", Role: auth.RoleViewer, Scopes: []auth.Permission{auth.RunRead, auth.RunRead}}, "scopes"},
		"open to everybody": {tenants.NewKey{Name: "a", Role: auth.RoleViewer, Scopes: []auth.Permission{auth.Public}}, "scopes"},
	} {
		_, plain, err := s.CreateKey(ctx, tc.key)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Field != tc.field || plain != "" {
			t.Errorf("%s: error %v, want %s to be invalid", name, err, tc.field)
		}
	}
	nowhere := scope.With(t.Context(), scope.Scope{Tenant: uuid.New()})
	_, _, err := s.CreateKey(nowhere, tenants.NewKey{Name: "a", Role: auth.RoleViewer})
	wantCode(t, err, fault.NotFound)
	_, _, err = s.CreateKey(t.Context(), tenants.NewKey{Name: "a", Role: auth.RoleViewer})
	wantCode(t, err, fault.Internal)
}
