package api

import (
	"io"
	"net"
	"time"

	"github.com/larirun/lari/internal/platform/framing"
)

const (
	drainBytes = 32 << 20
	drainTime  = 2 * time.Second
	drainIdle  = 50 * time.Millisecond
)

// drain reads what a client is still sending before its refusal is written. A connection closed with
// unread bytes is reset, and a reset can overtake the refusal, which the client then never sees. What is
// read is thrown away, and both bytes and time are bounded.
func drain(conn net.Conn, announced int) {
	if conn == nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(drainTime))
	// Up to a buffer of the body has been read already, so this much must still come.
	if due := announced - readBuffer; due > 0 {
		if n, err := io.CopyN(io.Discard, conn, int64(min(due, drainBytes))); err != nil || n == drainBytes {
			return
		}
	}
	buf := make([]byte, 4<<10)
	for end := time.Now().Add(drainTime); time.Now().Before(end); {
		_ = conn.SetReadDeadline(time.Now().Add(drainIdle))
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

// unwrap returns the connection itself: what a refused client still sends is not validated.
func unwrap(conn net.Conn) net.Conn {
	if framed, ok := conn.(*framing.Conn); ok {
		return framed.Unwrap()
	}
	return conn
}
