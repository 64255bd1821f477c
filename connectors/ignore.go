package connectors

import "context"

// Ignore takes every event and does nothing. A connector embeds it and writes the methods that it needs;
// connectortest tells when one of those is misspelt.
type Ignore struct{}

// OnStart does nothing.
func (Ignore) OnStart(context.Context, Event) error { return nil }

// OnProgress does nothing.
func (Ignore) OnProgress(context.Context, Event) error { return nil }

// OnComplete does nothing.
func (Ignore) OnComplete(context.Context, Event) error { return nil }

// OnError does nothing.
func (Ignore) OnError(context.Context, Event) error { return nil }

// OnCancel does nothing.
func (Ignore) OnCancel(context.Context, Event) error { return nil }
