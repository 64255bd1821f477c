package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/threads"
)

const tagThreads = "threads"

// ThreadRoutes is the family of threads.
func ThreadRoutes(service *threads.Service) []Route {
	h := threadHandlers{service}
	return []Route{
		Handle("POST", "/v1/threads", auth.RunCreate, Meta{ID: "createThread", Tag: tagThreads, Summary: "Make a thread", Status: 201, Creates: true}, h.create),
		Handle("GET", "/v1/threads", auth.RunRead, Meta{ID: "listThreads", Tag: tagThreads, Summary: "List threads, newest first"}, h.list),
		Handle("GET", "/v1/threads/{thread_id}", auth.RunRead, Meta{ID: "getThread", Tag: tagThreads, Summary: "Get a thread"}, h.get),
		Handle("PATCH", "/v1/threads/{thread_id}", auth.RunUpdate, Meta{ID: "updateThread", Tag: tagThreads, Summary: "Change a thread's title or metadata"}, h.update),
		Handle("DELETE", "/v1/threads/{thread_id}", auth.RunUpdate, Meta{
			ID: "deleteThread", Tag: tagThreads, Summary: "Remove a thread and its messages",
			Description: "Its runs stay. Refused with 409 while a run is active on it, and while schedules name it, unless `force` is given.",
		}, h.delete),
		Handle("POST", "/v1/threads/{thread_id}/copy", auth.RunCreate, Meta{
			ID: "copyThread", Tag: tagThreads, Summary: "Copy a thread up to a message", Status: 201, Creates: true,
			Description: "The new thread begins with the same messages and goes its own way from there.",
		}, h.copy),
		Handle("GET", "/v1/threads/{thread_id}/messages", auth.RunRead, Meta{ID: "listMessages", Tag: tagThreads, Summary: "List a thread's messages, oldest first"}, h.messages),
	}
}

type threadHandlers struct {
	service *threads.Service
}

func (h threadHandlers) create(ctx context.Context, in *threads.NewThread) (threads.Thread, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.ID = id
	}
	return h.service.CreateThread(ctx, *in)
}

func (h threadHandlers) list(ctx context.Context, in *page.Request) (page.Page[threads.Thread], error) {
	return h.service.FindThreads(ctx, *in)
}

type threadPath struct {
	ThreadID uuid.UUID `path:"thread_id" description:"The thread."`
}

func (h threadHandlers) get(ctx context.Context, in *threadPath) (threads.Thread, error) {
	return h.service.FindThread(ctx, in.ThreadID)
}

type updateThread struct {
	threadPath
	threads.Update
}

func (h threadHandlers) update(ctx context.Context, in *updateThread) (threads.Thread, error) {
	return h.service.UpdateThread(ctx, in.ThreadID, in.Update)
}

type deleteThread struct {
	threadPath
	Force bool `query:"force" description:"Delete it although schedules name it: their firings are refused from then on."`
}

func (h threadHandlers) delete(ctx context.Context, in *deleteThread) (None, error) {
	return None{}, h.service.DeleteThread(ctx, in.ThreadID, in.Force)
}

type copyThread struct {
	threadPath
	threads.Copy
}

func (h threadHandlers) copy(ctx context.Context, in *copyThread) (threads.Thread, error) {
	in.Copy.ID, _ = idempotency.ResourceID(ctx)
	return h.service.CopyThread(ctx, in.ThreadID, in.Copy)
}

type listMessages struct {
	threadPath
	page.Request
}

func (h threadHandlers) messages(ctx context.Context, in *listMessages) (page.Page[threads.Message], error) {
	return h.service.FindMessages(ctx, in.ThreadID, in.Request)
}
