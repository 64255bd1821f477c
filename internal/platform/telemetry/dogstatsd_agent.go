package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

const (
	agentDial  = time.Second
	agentWrite = 100 * time.Millisecond
	agentPause = time.Second // after a failure, before the agent is looked for again
)

var errAgentAway = errors.New("the agent is away")

// agent is the way to Datadog's agent. It is opened by the first write and again after a failure, so that
// a name that does not resolve yet, an agent that starts later and one that has moved are all found in
// the end. Until then writes fail at once. One goroutine writes at a time: the client's sender.
type agent struct {
	network string
	address string
	log     *slog.Logger
	conn    net.Conn
	next    time.Time // not to be looked for before
	away    bool      // has been said
}

func newAgent(network, address string, log *slog.Logger) *agent {
	return &agent{network: network, address: address, log: log}
}

// Write sends a datagram.
func (a *agent) Write(datagram []byte) (int, error) {
	if a.conn == nil {
		if time.Now().Before(a.next) {
			return 0, errAgentAway
		}
		conn, err := (&net.Dialer{Timeout: agentDial}).DialContext(context.Background(), a.network, a.address)
		if err != nil {
			return 0, a.failed(err)
		}
		a.conn = conn
	}
	if err := a.conn.SetWriteDeadline(time.Now().Add(agentWrite)); err != nil {
		return 0, a.failed(err)
	}
	n, err := a.conn.Write(datagram)
	if err != nil {
		return n, a.failed(err)
	}
	if a.away {
		a.away = false
		a.log.Info("metrics reach Datadog's agent", "address", a.address)
	}
	return n, nil
}

// failed says so once: an agent that is away for a day is one line of the log.
func (a *agent) failed(err error) error {
	_ = a.Close()
	a.next = time.Now().Add(agentPause)
	if !a.away {
		a.away = true
		a.log.Warn("metrics do not reach Datadog's agent and are dropped until they do", "address", a.address, "error", err)
	}
	return fmt.Errorf("%w: %w", errAgentAway, err)
}

// Close closes the connection, if there is one.
func (a *agent) Close() error {
	if a.conn == nil {
		return nil
	}
	err := a.conn.Close()
	a.conn = nil
	return err
}
