// Package framing validates the bytes of HTTP/1 requests before an HTTP server parses them.
//
// A request that two parsers delimit differently lets one client put words into another's connection (request
// smuggling). RFC 9112 says how such a request is refused; servers that were built for speed or leniency do not
// always do so. A Listener wraps each connection in a Conn, whose Read passes on only what has one reading:
//
//	client ─► net.Conn ─► Conn.Read: head ─► body by length, or chunks ─► head … ─► HTTP server
//	                         └─ anything else: Refusal; nothing more is read from the connection
//
// A Conn holds back nothing that is valid: it scans in the server's own buffer, line by line, and keeps no
// buffer of its own beyond a line that was split between two reads and what a client pipelined. One Read never
// crosses the end of a message, so the server has answered a request before it sees a byte of the next one, and a
// refusal is written after the answers that precede it. Fields of trailers are dropped: a server that
// merges them into the headers would let them pass by a proxy that inspects headers (RFC 9110 §6.5.1).
//
// What is refused: line ends other than CRLF, control characters, a request line that is not method, target and
// HTTP/1.0 or 1.1 with one space between them, targets of no known form, folded lines, space before a colon, a missing,
// repeated or malformed Host or one that contradicts an absolute target, more than one Content-Length or one that is
// not digits, a Transfer-Encoding other than chunked or beside a Content-Length or in HTTP/1.0, and chunks whose size
// or end is not as RFC 9112 §7.1 has it.
package framing
