package tenants

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/scope"
)

// FindWorkspace gives a workspace by its id or slug.
func (s *Service) FindWorkspace(ctx context.Context, ref string) (Workspace, error) {
	return s.store.workspace(ctx, ref)
}

// FindWorkspaces gives the workspaces, newest first.
func (s *Service) FindWorkspaces(ctx context.Context, p page.Request) (page.Page[Workspace], error) {
	limit, before, err := p.StartBefore()
	if err != nil {
		return page.Page[Workspace]{}, err
	}
	found, err := s.store.workspaces(ctx, before, limit+1)
	return page.Of(found, limit, func(w Workspace) string { return w.ID.String() }), err
}

// CreateWorkspace makes a workspace. A taken slug gives fault.Conflict. For a NewWorkspace whose id is known
// it gives the one that exists.
func (s *Service) CreateWorkspace(ctx context.Context, n NewWorkspace) (Workspace, error) {
	w, err := n.build(scope.Tenant(ctx), now())
	if err != nil {
		return Workspace{}, err
	}
	if err := s.store.insertWorkspace(ctx, w); err != nil {
		return Workspace{}, err
	}
	return s.store.workspace(ctx, w.ID.String())
}

// UpdateWorkspace changes a workspace.
func (s *Service) UpdateWorkspace(ctx context.Context, id uuid.UUID, u Update) (Workspace, error) {
	if u.Name == nil {
		return s.store.workspace(ctx, id.String())
	}
	name, err := goodName(*u.Name)
	if err != nil {
		return Workspace{}, err
	}
	return s.store.renameWorkspace(ctx, id, name)
}

// DeleteWorkspace removes a workspace that nothing belongs to. The default one stays: fault.Conflict, as for
// one with runs, and, unless that is to be no matter (force), for one that is in use.
func (s *Service) DeleteWorkspace(ctx context.Context, id uuid.UUID, force bool) error {
	w, err := s.store.workspace(ctx, id.String())
	switch {
	case err != nil:
		return err
	case w.Slug == DefaultWorkspace:
		return fault.New(fault.Conflict, "The default workspace cannot be removed.")
	}
	if s.InUse != nil && !force {
		if err := s.InUse(ctx, id); err != nil {
			return err
		}
	}
	return s.store.deleteWorkspace(ctx, id)
}
