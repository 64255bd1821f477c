package tenants_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/tenants"
)

func TestSuspendAndResume(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	other, _ := d.Tenant(t, "other")
	admit := func(ctx context.Context) (by, reason string) {
		t.Helper()
		err := d.Conn(t).QueryRow(ctx, `select coalesce(r -> 'refused' ->> 'by', ''), coalesce(r -> 'refused' ->> 'reason', '') from lari.admit_run($1, null, false) r`,
			scope.Tenant(ctx)).Scan(&by, &reason)
		if err != nil {
			t.Fatal(err)
		}
		return by, reason
	}
	if by, _ := admit(ctx); by != "" {
		t.Fatalf("an active tenant is refused by %s", by)
	}
	first, err := s.Suspend(ctx, "unpaid")
	if err != nil || first.Status != tenants.Suspended || first.StatusReason != "unpaid" {
		t.Fatalf("%+v %v", first, err)
	}
	second, err := s.Suspend(ctx, "still unpaid")
	if err != nil || second.StatusReason != "still unpaid" || second.StatusAt != first.StatusAt {
		t.Errorf("suspended again: %+v %v", second, err)
	}
	if by, reason := admit(ctx); by != "suspended" || reason != "still unpaid" {
		t.Errorf("a run is refused by %q: %q", by, reason)
	}
	if by, _ := admit(other); by != "" {
		t.Errorf("another tenant is refused by %s", by)
	}
	for range 2 {
		if resumed, err := s.Resume(ctx); err != nil || resumed.Status != tenants.Active || resumed.StatusReason != "" {
			t.Errorf("resumed %+v %v", resumed, err)
		}
	}
	if found, err := s.Find(ctx); err != nil || found.ID != tenant || found.Status != tenants.Active {
		t.Errorf("%+v %v", found, err)
	}
	nowhere := scope.With(t.Context(), scope.Scope{Tenant: uuid.New()})
	_, err = s.Suspend(nowhere, "x")
	wantCode(t, err, fault.NotFound)
}

func TestTenantsAreMadeOnceAndRenamed(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	id := uuid.Must(uuid.NewV7())
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if made, err := s.CreateTenant(t.Context(), tenants.NewTenant{ID: id, Slug: "acme", Name: "Acme"}); err != nil || made.ID != id || made.Name != "Acme" {
				t.Errorf("%+v %v", made, err)
			}
		})
	}
	all.Wait()
	ctx := scope.With(t.Context(), scope.Scope{Tenant: id})
	if w, err := s.FindWorkspaces(ctx, page.Request{}); err != nil || len(w.Items) != 1 {
		t.Errorf("%+v %v", w, err)
	}
	name, blank, long := " Acme Ltd ", "  ", strings.Repeat("ä", 201)
	if u, err := s.Update(ctx, tenants.Update{Name: &name}); err != nil || u.Name != "Acme Ltd" || u.Slug != "acme" {
		t.Errorf("%+v %v", u, err)
	}
	for _, bad := range []*string{&blank, &long} {
		_, err := s.Update(ctx, tenants.Update{Name: bad})
		wantCode(t, err, fault.Invalid)
	}
	if u, err := s.Update(ctx, tenants.Update{}); err != nil || u.Name != "Acme Ltd" {
		t.Errorf("nothing changed: %+v %v", u, err)
	}
}

func TestListOfTenants(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ids := map[string]uuid.UUID{}
	for _, slug := range []string{"ac", "acme", "acm-1", "zeta", "a-b"} {
		made, err := s.CreateTenant(t.Context(), tenants.NewTenant{Slug: slug})
		if err != nil {
			t.Fatal(err)
		}
		ids[slug] = made.ID
	}
	if _, err := s.Suspend(scope.With(t.Context(), scope.Scope{Tenant: ids["zeta"]}), "x"); err != nil {
		t.Fatal(err)
	}
	platform := auth.With(t.Context(), &auth.Principal{Service: true})
	member := auth.With(t.Context(), &auth.Principal{Tenants: map[uuid.UUID]auth.Role{ids["acme"]: auth.RoleViewer, ids["zeta"]: auth.RoleOwner, uuid.New(): auth.RoleOwner}})
	scoped := auth.With(t.Context(), &auth.Principal{Tenants: map[uuid.UUID]auth.Role{ids["acme"]: auth.RoleOwner}, Scopes: []auth.Permission{auth.RunRead}})
	for name, c := range map[string]struct {
		ctx  context.Context //nolint:containedctx // a row of a table
		f    tenants.Filter
		want string
	}{
		"all":                      {platform, tenants.Filter{}, "a-b zeta acm-1 acme ac"},
		"by prefix":                {platform, tenants.Filter{SlugPrefix: "acm"}, "acm-1 acme"},
		"no pattern":               {platform, tenants.Filter{SlugPrefix: "ac%"}, ""},
		"no pattern either":        {platform, tenants.Filter{SlugPrefix: "a_b"}, ""},
		"by status":                {platform, tenants.Filter{Status: []tenants.Status{tenants.Suspended}}, "zeta"},
		"one's own":                {member, tenants.Filter{}, "zeta acme"},
		"one's own by prefix":      {member, tenants.Filter{SlugPrefix: "a"}, "acme"},
		"without the permission":   {scoped, tenants.Filter{}, ""},
		"of nobody":                {t.Context(), tenants.Filter{}, ""},
		"by status, not one's own": {scoped, tenants.Filter{Status: []tenants.Status{tenants.Suspended}}, ""},
	} {
		var got []string
		for p := (page.Request{Limit: 2}); ; {
			found, err := s.FindTenants(c.ctx, c.f, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range found.Items {
				got = append(got, x.Slug)
			}
			if found.NextCursor == nil {
				break
			}
			p.Cursor = *found.NextCursor
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

func TestWorkspaces(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	acme, err := s.CreateTenant(t.Context(), tenants.NewTenant{Slug: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := scope.With(t.Context(), scope.Scope{Tenant: acme.ID, Actor: "test"})
	stranger, _ := d.Tenant(t, "other")
	id := uuid.Must(uuid.NewV7())
	var w tenants.Workspace
	for range 2 { // the same request twice makes one
		if w, err = s.CreateWorkspace(ctx, tenants.NewWorkspace{ID: id, Slug: "support"}); err != nil || w.ID != id || w.Name != "support" {
			t.Fatalf("%+v %v", w, err)
		}
	}
	_, err = s.CreateWorkspace(ctx, tenants.NewWorkspace{Slug: "support"})
	wantCode(t, err, fault.Conflict)
	_, err = s.CreateWorkspace(ctx, tenants.NewWorkspace{Slug: "No"})
	wantCode(t, err, fault.Invalid)
	_, err = s.CreateWorkspace(stranger, tenants.NewWorkspace{ID: id, Slug: "mine"})
	wantCode(t, err, fault.NotFound)
	name := "Support"
	if w, err = s.UpdateWorkspace(ctx, id, tenants.Update{Name: &name}); err != nil || w.Name != name {
		t.Errorf("%+v %v", w, err)
	}
	for _, err := range []error{
		s.DeleteWorkspace(stranger, id, false), s.DeleteWorkspace(ctx, uuid.New(), false),
		func() error { _, err := s.UpdateWorkspace(stranger, id, tenants.Update{Name: &name}); return err }(),
	} {
		wantCode(t, err, fault.NotFound)
	}
	standard, err := s.FindWorkspace(ctx, tenants.DefaultWorkspace)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.DeleteWorkspace(ctx, standard.ID, false), fault.Conflict)
	agent, run := uuid.New(), uuid.New()
	_, err = d.DB.Exec(ctx, `insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) values ($1, $2, 'a', 'A', 1, now(), now())`, agent, acme.ID)
	_, err2 := d.DB.Exec(ctx, `insert into agent_runs (id, tenant_id, workspace_id, agent_id, agent_version, status, input, max_steps, timeout_seconds, approval_seconds, created_by, created_at, finished_at)
		values ($1, $2, $3, $4, 1, 'completed', '[]', 1, 1, 1, 'test', now(), now())`, run, acme.ID, id, agent)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.DeleteWorkspace(ctx, id, false), fault.Conflict)
	if _, err := d.DB.Exec(ctx, `delete from agent_runs where id = $1`, run); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteWorkspace(ctx, id, false); err != nil {
		t.Error(err)
	}
	_, err = s.FindWorkspace(ctx, id.String())
	wantCode(t, err, fault.NotFound)
}

func TestAKeyGivesNoMoreThanItsMakerHas(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	soon, later := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	key := func(role auth.Role, end time.Time, scopes ...auth.Permission) context.Context {
		return auth.With(ctx, &auth.Principal{Kind: auth.KindAPIKey, Tenants: map[uuid.UUID]auth.Role{tenant: role}, Scopes: scopes, ExpiresAt: end})
	}
	owner := as(ctx, tenant, auth.RoleOwner)
	narrow := key(auth.RoleOwner, time.Time{}, auth.TenantManage, auth.RunRead)
	for name, c := range map[string]struct {
		ctx  context.Context //nolint:containedctx // a row of a table
		n    tenants.NewKey
		code fault.Code
	}{
		"one's own role":                     {owner, tenants.NewKey{Role: auth.RoleOwner}, ""},
		"the platform's for a tenant":        {as(ctx, tenant, auth.RoleService), tenants.NewKey{Role: auth.RoleOwner}, ""},
		"a higher role":                      {as(ctx, tenant, auth.RoleAdmin), tenants.NewKey{Role: auth.RoleOwner}, fault.Forbidden},
		"a higher role, harmless scopes":     {as(ctx, tenant, auth.RoleAdmin), tenants.NewKey{Role: auth.RoleOwner, Scopes: []auth.Permission{auth.RunRead}}, fault.Forbidden},
		"by nobody":                          {ctx, tenants.NewKey{Role: auth.RoleViewer}, fault.Forbidden},
		"by a stranger":                      {as(ctx, uuid.New(), auth.RoleOwner), tenants.NewKey{Role: auth.RoleViewer}, fault.Forbidden},
		"all of a role by a narrow key":      {narrow, tenants.NewKey{Role: auth.RoleViewer}, fault.Forbidden},
		"another scope by a narrow key":      {narrow, tenants.NewKey{Role: auth.RoleOwner, Scopes: []auth.Permission{auth.RunCreate}}, fault.Forbidden},
		"a scope of a narrow key":            {narrow, tenants.NewKey{Role: auth.RoleOwner, Scopes: []auth.Permission{auth.RunRead}}, ""},
		"longer than the key that makes it":  {key(auth.RoleOwner, soon, auth.RunRead), tenants.NewKey{Role: auth.RoleViewer, Scopes: []auth.Permission{auth.RunRead}, ExpiresAt: &later}, fault.Forbidden},
		"as long as the key that makes it":   {key(auth.RoleOwner, soon, auth.RunRead), tenants.NewKey{Role: auth.RoleViewer, Scopes: []auth.Permission{auth.RunRead}}, ""},
		"for ever by one whose token ends":   {owner, tenants.NewKey{Role: auth.RoleViewer}, ""},
		"what is no key at all":              {owner, tenants.NewKey{Role: "root"}, fault.Invalid},
		"the platform's role for the tenant": {as(ctx, tenant, auth.RoleService), tenants.NewKey{Role: auth.RoleService}, fault.Invalid},
	} {
		c.n.Name = "k"
		made, plain, err := s.IssueKey(c.ctx, c.n)
		if fault.CodeOf(err) != c.code || (err == nil) != (plain != "") {
			t.Errorf("%s: %+v %v, want %q", name, made, err, c.code)
		}
		if err == nil && auth.From(c.ctx).Kind == auth.KindAPIKey && !auth.From(c.ctx).ExpiresAt.IsZero() && made.ExpiresAt == nil {
			t.Errorf("%s: it never ends", name)
		}
	}
	// Prolonging is giving, too.
	strong, _, err := s.IssueKey(owner, tenants.NewKey{Name: "strong", Role: auth.RoleOwner, ExpiresAt: &soon})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.UpdateKey(narrow, strong.ID, tenants.KeyUpdate{NeverExpires: true})
	wantCode(t, err, fault.Forbidden)
}

func TestAKeysLife(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	s := tenants.NewService(d.DB)
	ctx, tenant := d.Tenant(t, "acme")
	stranger, _ := d.Tenant(t, "other")
	owner := as(ctx, tenant, auth.RoleOwner)
	id := uuid.Must(uuid.NewV7())
	k, plain, err := s.IssueKey(owner, tenants.NewKey{ID: id, Name: "a", Role: auth.RoleViewer})
	if err != nil || k.ID != id || plain == "" {
		t.Fatal(k, err)
	}
	if again, secret, err := s.IssueKey(owner, tenants.NewKey{ID: id, Name: "a", Role: auth.RoleViewer}); err != nil || secret != "" || again.Prefix != k.Prefix {
		t.Errorf("a repetition gives %+v, a secret of %d bytes, %v", again, len(secret), err)
	}
	keys, err := auth.NewKeys(s)
	if err != nil {
		t.Fatal(err)
	}
	keys.Used = s.KeyUsed
	heard := make(chan string, 10)
	listening := make(chan bool, 1)
	hearing, stop := context.WithCancel(t.Context())
	var listener sync.WaitGroup
	listener.Go(func() {
		postgres.Listener{
			URL: d.URL, Channel: tenants.KeyChannel, Connected: func() { listening <- true }, Disconnected: func() {},
			Notified: func(prefix string) { keys.Forget(prefix); heard <- prefix },
		}.Run(hearing)
	})
	defer listener.Wait()
	defer stop()
	<-listening
	if _, err := keys.Authenticate(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteKeyUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	used, err := s.FindAPIKey(ctx, id)
	if err != nil || used.LastUsedAt == nil {
		t.Fatalf("%+v %v", used, err)
	}
	s.KeyUsed(id, used.LastUsedAt.Add(30*time.Second).Time)
	if err := s.WriteKeyUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	if soon, err := s.FindAPIKey(ctx, id); err != nil || *soon.LastUsedAt != *used.LastUsedAt {
		t.Errorf("written again within the minute: %v, %v", soon.LastUsedAt, err)
	}
	s.KeyUsed(id, used.LastUsedAt.Add(2*time.Minute).Time)
	s.KeyUsed(uuid.New(), time.Now()) // one that is gone
	if err := s.WriteKeyUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	if later, err := s.FindAPIKey(ctx, id); err != nil || !later.LastUsedAt.After(*used.LastUsedAt) {
		t.Errorf("not written after the minute: %v, %v", later.LastUsedAt, err)
	}

	name, end, past := "b", time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	if u, err := s.UpdateKey(owner, id, tenants.KeyUpdate{Name: &name, ExpiresAt: &end}); err != nil || u.Name != "b" || u.ExpiresAt == nil {
		t.Errorf("%+v %v", u, err)
	}
	if prefix := <-heard; prefix != k.Prefix {
		t.Errorf("heard of %q", prefix)
	}
	if u, err := s.UpdateKey(owner, id, tenants.KeyUpdate{NeverExpires: true}); err != nil || u.ExpiresAt != nil {
		t.Errorf("%+v %v", u, err)
	}
	<-heard
	for _, bad := range []tenants.KeyUpdate{{ExpiresAt: &past}, {ExpiresAt: &end, NeverExpires: true}} {
		_, err := s.UpdateKey(owner, id, bad)
		wantCode(t, err, fault.Invalid)
	}
	_, err = s.UpdateKey(as(stranger, scope.Tenant(stranger), auth.RoleOwner), id, tenants.KeyUpdate{Name: &name})
	wantCode(t, err, fault.NotFound)
	_, err = s.Revoke(stranger, id)
	wantCode(t, err, fault.NotFound)
	first, err := s.Revoke(ctx, id)
	if err != nil || first.RevokedAt == nil {
		t.Fatal(first, err)
	}
	<-heard
	// A process that remembers the key has heard of it, long before its half minute is over.
	_, err = keys.Authenticate(t.Context(), plain)
	wantCode(t, err, fault.Unauthenticated)
	if second, err := s.Revoke(ctx, id); err != nil || *second.RevokedAt != *first.RevokedAt {
		t.Errorf("revoked again: %+v %v", second, err)
	}
	_, err = s.UpdateKey(owner, id, tenants.KeyUpdate{Name: &name})
	wantCode(t, err, fault.Conflict)
	for revoked, want := range map[bool]int{false: 0, true: 1} {
		if found, err := s.FindAPIKeys(ctx, revoked, page.Request{}); err != nil || len(found.Items) != want {
			t.Errorf("revoked %v: %d keys (%v)", revoked, len(found.Items), err)
		}
	}
	if found, err := s.FindAPIKeys(stranger, true, page.Request{}); err != nil || len(found.Items) != 0 {
		t.Errorf("a stranger sees %+v (%v)", found, err)
	}
}
