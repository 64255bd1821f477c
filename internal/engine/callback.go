package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/larirun/lari/workflows"
)

// The headers of a callback: which workflow closed, and the proof that the start was ours. The header of
// Nexus says how it closed.
const (
	callbackWorkflow = "lari-workflow"
	callbackProof    = "lari-proof"
	callbackState    = "Nexus-Operation-State"
)

// refusedFor is how long no callback is asked for once the server has refused one.
const refusedFor = 10 * time.Minute

// Callbacks lets Temporal tell this program when the workflow of a run closes, however that happens: asked
// for with the start, kept and repeated by the server until it is heard, without an event in the history. A
// server that takes no callback for the address (it has a list of those it may call) costs one refused
// start, which is repeated without; the reconciler finds then what callbacks would have told.
type Callbacks struct {
	url string
	key []byte
	log *slog.Logger
	off atomic.Int64 // until when none is asked for, Unix nanoseconds
}

// NewCallbacks makes them for the URL at which Temporal reaches Handler. key proves that a callback is one
// that was asked for; every process that starts runs or is told has the same.
func NewCallbacks(url, key string, log *slog.Logger) *Callbacks {
	return &Callbacks{url: url, key: []byte(key), log: log}
}

// DialOption adds the callback to every start of a run's workflow on the connection.
func (c *Callbacks) DialOption() grpc.DialOption { return grpc.WithChainUnaryInterceptor(c.intercept) }

func (c *Callbacks) intercept(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	start, ok := req.(*workflowservice.StartWorkflowExecutionRequest)
	if !ok || start.GetWorkflowType().GetName() != workflows.AgentRunName || time.Now().UnixNano() < c.off.Load() {
		return invoke(ctx, method, req, reply, conn, o...)
	}
	start.CompletionCallbacks = []*commonpb.Callback{{Variant: &commonpb.Callback_Nexus_{Nexus: &commonpb.Callback_Nexus{
		Url: c.url, Header: map[string]string{callbackWorkflow: start.GetWorkflowId(), callbackProof: c.proof(start.GetWorkflowId())},
	}}}}
	err := invoke(ctx, method, req, reply, conn, o...)
	if !refused(err) {
		return err
	}
	start.CompletionCallbacks = nil
	without := invoke(ctx, method, req, reply, conn, o...)
	if without == nil {
		c.off.Store(time.Now().Add(refusedFor).UnixNano())
		c.log.WarnContext(ctx, "Temporal takes no callback; runs that it closes are found by the reconciler", "url", c.url, "pause", refusedFor, "error", err)
	}
	return without
}

// refused reports an answer that may be about the callback; whether it was, the start without one tells.
func refused(err error) bool {
	var invalid *serviceerror.InvalidArgument
	var unknown *serviceerror.Unimplemented
	var denied *serviceerror.PermissionDenied
	if errors.As(err, &invalid) || errors.As(err, &unknown) || errors.As(err, &denied) {
		return true
	}
	switch status.Code(err) { //nolint:exhaustive // the others are not about the request
	case codes.InvalidArgument, codes.Unimplemented, codes.PermissionDenied:
		return true
	}
	return false
}

func (c *Callbacks) proof(workflowID string) string {
	mac := hmac.New(sha256.New, c.key)
	_, _ = mac.Write([]byte("completion of " + workflowID)) // never fails
	return hex.EncodeToString(mac.Sum(nil))
}
