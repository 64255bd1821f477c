package app

import (
	"context"
	"log/slog"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/tenants"
)

// bootstrapKey is the name of the API key that Bootstrap creates, and who bootstrapped in records.
const bootstrapKey = "bootstrap"

// Bootstrap describes a tenant that an operator creates from the database's side, without a token.
type Bootstrap struct {
	Slug  string
	Name  string // "": the slug
	Owner string // user id (the sub of the user's tokens) of the owner; "": no member is added
	Email string // of the owner; "": none
	// NewKey creates a further key when there is one, for an operator who lost the secret.
	NewKey bool
}

// Bootstrapped is what exists after Bootstrap.
type Bootstrapped struct {
	TenantID      string `json:"tenant_id"`
	Tenant        string `json:"tenant"` // slug
	TenantCreated bool   `json:"tenant_created"`
	AgentCreated  bool   `json:"agent_created"`
	Owner         string `json:"owner,omitempty"`
	OwnerCreated  bool   `json:"owner_created,omitempty"`
	KeyID         string `json:"key_id"`
	KeyPrefix     string `json:"key_prefix"`    // what may be seen of the key
	Key           string `json:"key,omitempty"` // the secret, only where the key was created now
}

// Run creates what is missing: the tenant, its assistant, its owner and an API key with the role owner. Running it
// again changes nothing. It needs the database only. It returns an error that names `lari migrate` when migrations
// are missing.
func (b Bootstrap) Run(ctx context.Context, cfg config.Config, log *slog.Logger) (Bootstrapped, error) {
	a, err := New(ctx, cfg, Options{}, log)
	if err != nil {
		return Bootstrapped{}, err
	}
	defer a.Close()
	missing, err := a.DB.Pending(ctx, a.migrations)
	if err != nil {
		return Bootstrapped{}, err
	}
	if len(missing) > 0 {
		return Bootstrapped{}, fault.New(fault.Unavailable, "The database lacks %d migrations: run `lari migrate` first.", len(missing))
	}
	out, ctx, err := a.bootstrapTenant(ctx, b)
	if err != nil {
		return out, err
	}
	if out.AgentCreated, err = a.ensureAssistant(ctx); err != nil {
		return out, err
	}
	out.AgentCreated = out.AgentCreated || out.TenantCreated
	if b.Owner != "" {
		if err := a.bootstrapOwner(ctx, b, &out); err != nil {
			return out, err
		}
	}
	return out, a.bootstrapKey(ctx, b, &out)
}

// bootstrapTenant finds or creates the tenant and returns a context in its scope.
func (a *App) bootstrapTenant(ctx context.Context, b Bootstrap) (Bootstrapped, context.Context, error) {
	ctx = scope.With(ctx, scope.Scope{Actor: bootstrapKey})
	t, err := a.Tenants.FindTenantBySlug(ctx, b.Slug)
	created := false
	if fault.Is(err, fault.NotFound) {
		t, err = a.Tenants.CreateTenant(ctx, tenants.NewTenant{Slug: b.Slug, Name: b.Name})
		created = err == nil
		if fault.Is(err, fault.Conflict) { // created by another process at this moment
			t, err = a.Tenants.FindTenantBySlug(ctx, b.Slug)
		}
	}
	if err == nil && t.Status == tenants.Deleting {
		err = fault.New(fault.Conflict, "The tenant %s is being deleted.", t.Slug)
	}
	ctx = scope.With(ctx, scope.Scope{Tenant: t.ID, Actor: bootstrapKey})
	ctx = auth.With(ctx, &auth.Principal{Subject: bootstrapKey, Kind: auth.KindService, Service: true})
	return Bootstrapped{TenantID: t.ID.String(), Tenant: t.Slug, TenantCreated: created}, ctx, err
}

// bootstrapOwner adds the owner; a member keeps the role that it has.
func (a *App) bootstrapOwner(ctx context.Context, b Bootstrap, out *Bootstrapped) error {
	out.Owner = b.Owner
	known, err := a.Tenants.FindMember(ctx, b.Owner)
	if err == nil && known.Role == auth.RoleOwner || err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	update := tenants.MemberUpdate{Role: auth.RoleOwner}
	if b.Email != "" {
		update.Email = &b.Email
	}
	_, _, err = a.Tenants.PutMember(ctx, b.Owner, update)
	out.OwnerCreated = err == nil
	return err
}

func (a *App) bootstrapKey(ctx context.Context, b Bootstrap, out *Bootstrapped) error {
	wanted := tenants.NewKey{Name: bootstrapKey, Role: auth.RoleOwner}
	create := a.Tenants.EnsureKey
	if b.NewKey {
		create = a.Tenants.CreateKey
	}
	k, plain, err := create(ctx, wanted)
	out.KeyID, out.KeyPrefix, out.Key = k.ID.String(), auth.KeyPrefix+k.Prefix, plain
	return err
}
