package framing

import (
	"bytes"
	"errors"
	"io"
	"net"
)

// Refusal says why nothing more is read from a connection. Its text is fit for the client.
type Refusal struct {
	Detail   string
	TooLarge bool // the head is over its limit (431); otherwise the request is malformed (400)
}

// Error returns the detail.
func (r *Refusal) Error() string { return r.Detail }

// Listener wraps each accepted connection in a Conn.
type Listener struct {
	net.Listener
	maxHead int
}

// NewListener returns a listener whose connections refuse heads of more than maxHead bytes.
func NewListener(l net.Listener, maxHead int) *Listener {
	return &Listener{Listener: l, maxHead: maxHead}
}

// Accept returns the next connection as a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, maxHead: l.maxHead}, nil
}

type phase uint8

const (
	inHead phase = iota
	inBody
	inChunkSize
	inChunkData
	inChunkEnd // the CRLF after a chunk's data
	inTrailer
)

// Conn is a connection whose Read returns valid requests. Reads are made by one goroutine at a time.
type Conn struct {
	net.Conn
	maxHead int

	phase   phase
	left    uint64 // of a body or a chunk's data
	head    head
	size    int    // bytes of the head, or of the trailers, so far
	line    []byte // the beginning of a line whose end has not been read
	ahead   []byte // what was read beyond the end of a message
	owed    bool   // a LF is to be returned before anything else
	passed  bool   // a byte of this message, or of its trailers, has been returned
	refusal *Refusal
}

// RefusalOf returns why the connection was refused; nil when it was not, or is not a *Conn.
func RefusalOf(c net.Conn) *Refusal {
	if own, ok := c.(*Conn); ok {
		return own.refusal
	}
	return nil
}

// Unwrap returns the connection below, for those who throw away what a refused client still sends.
func (c *Conn) Unwrap() net.Conn { return c.Conn }

// Read returns bytes of at most one message. After an invalid one it returns a *Refusal, once at least one byte
// of the message has been returned: servers close a connection without an answer when they read nothing of it, and
// fasthttp takes a request in chunks for whole when it reads nothing of its trailers, whatever the error.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.owed {
		c.owed, p[0] = false, '\n'
		return 1, nil
	}
	for c.refusal == nil {
		n, err := c.fill(p)
		out, in := c.scan(p[:n])
		if n > 0 {
			c.keep(p[in:n], in)
		}
		if errors.Is(err, io.EOF) && c.phase == inTrailer && c.refusal == nil {
			c.refuse("The request ends within its trailers.")
		}
		if out > 0 || err != nil && c.refusal == nil {
			return out, err
		}
	}
	if !c.passed {
		c.passed, p[0] = true, 'X' // begins no valid request
		return 1, nil
	}
	return 0, c.refusal
}

func (c *Conn) fill(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		return copy(p, c.ahead), nil
	}
	return c.Conn.Read(p)
}

// keep remembers what was read and not scanned: rest, before which used bytes were scanned.
func (c *Conn) keep(rest []byte, used int) {
	switch {
	case len(c.ahead) > 0:
		c.ahead = c.ahead[used:]
	case len(rest) > 0 && c.refusal == nil:
		c.ahead = bytes.Clone(rest)
	}
	if len(c.ahead) == 0 {
		c.ahead = nil
	}
}

// scan validates p up to the end of the message and moves what is to be passed on to its beginning. It returns how
// much that is, and how much was scanned.
func (c *Conn) scan(p []byte) (out, in int) {
	for in < len(p) && c.refusal == nil {
		if c.phase == inBody || c.phase == inChunkData {
			n := int(min(c.left, uint64(len(p)-in))) //nolint:gosec // at most len(p)
			out += copy(p[out:], p[in:in+n])
			c.passed = true
			in, c.left = in+n, c.left-uint64(n) //nolint:gosec // n is no less than 0
			switch {
			case c.left > 0:
			case c.phase == inChunkData:
				c.phase = inChunkEnd
			default:
				c.next()
				return out, in
			}
			continue
		}
		line, n := c.takeLine(p[in:])
		if c.refusal != nil {
			return out, in
		}
		ended, drop := false, false
		if line == nil { // a part of one, on which no parser can act
			drop = c.phase == inTrailer || c.phase == inHead && !c.head.started && c.line[0] == '\r'
			if drop && c.line[0] == '\r' && len(c.line) > 1 {
				c.refuse("A line of the request does not end in CR LF.")
			}
		} else {
			ended, drop = c.endLine(line)
		}
		switch {
		case c.refusal != nil:
			return out, in
		case drop:
		case ended && n == 1 && c.phase == inTrailer: // the CR before this LF came earlier, and was dropped
			p[out] = '\r'
			out, c.owed = out+1, true
		default:
			out += copy(p[out:], p[in:in+n])
			c.passed = c.phase != inTrailer
		}
		if in += n; ended {
			c.next()
			return out, in
		}
	}
	return out, in
}

func (c *Conn) next() { c.phase, c.head, c.size, c.passed = inHead, head{}, 0, false }

func (c *Conn) refuse(detail string) { c.refusal = &Refusal{Detail: detail} }

// maxChunkLine is the longest line between chunks, in bytes: a size and extensions, which nothing here reads.
const maxChunkLine = 256

// takeLine returns the next line with its end, nil while that has not been read, and how many bytes of p it took.
func (c *Conn) takeLine(p []byte) (line []byte, n int) {
	n = bytes.IndexByte(p, '\n') + 1
	whole := n > 0
	if !whole {
		n = len(p)
	}
	if c.phase == inHead || c.phase == inTrailer {
		if c.size += n; c.size > c.maxHead {
			c.refusal = &Refusal{Detail: "The request line and headers are too long.", TooLarge: true}
			return nil, n
		}
	} else if len(c.line)+n > maxChunkLine {
		c.refuse("The size of a chunk is not written as RFC 9112 §7.1 has it.")
		return nil, n
	}
	if whole && len(c.line) == 0 {
		return p[:n], n
	}
	c.line = append(c.line, p[:n]...)
	if !whole {
		return nil, n
	}
	line, c.line = c.line, nil
	return line, n
}

// endLine reads a whole line. It reports whether the message ends with it, and whether it is kept from the server.
func (c *Conn) endLine(line []byte) (ended, drop bool) {
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		c.refuse("A line of the request does not end in CR LF.")
		return false, false
	}
	if !isFieldText(line) {
		c.refuse("A line of the request holds a control character.")
		return false, false
	}
	var fault string
	switch c.phase {
	case inHead:
		switch {
		case len(line) == 0 && !c.head.started:
			return false, true // RFC 9112 §2.2: an empty line before the request line is ignored
		case len(line) > 0:
			fault = c.head.line(line)
		default:
			if fault = c.head.end(); fault == "" {
				ended = c.body()
			}
		}
	case inChunkSize:
		if c.left, ok = chunkSize(line); !ok {
			fault = "The size of a chunk is not written as RFC 9112 §7.1 has it."
		} else if c.phase = inChunkData; c.left == 0 {
			c.phase, c.size = inTrailer, 0
		}
	case inChunkEnd:
		if c.phase = inChunkSize; len(line) > 0 {
			fault = "A chunk is longer than its size says."
		}
	case inTrailer:
		if ended = len(line) == 0; !ended {
			_, _, fault = splitField(line)
			drop = true
		}
	case inBody, inChunkData: // have no lines
	}
	if fault != "" {
		c.refuse(fault)
	}
	return ended, drop
}

// body reports whether the message ends with its head, and goes on to its body when not.
func (c *Conn) body() (ended bool) {
	switch {
	case c.head.chunked:
		c.phase = inChunkSize
	case c.head.length > 0:
		c.phase, c.left = inBody, c.head.length
	default:
		return true
	}
	return false
}

// chunkSize reads a chunk's size and passes over its extensions.
func chunkSize(line []byte) (uint64, bool) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t") // RFC 9112 §7.1.1 has "bad whitespace" before an extension
	if len(digits) != len(line) && bytes.IndexByte(line, ';') < 0 {
		return 0, false
	}
	var size uint64
	for _, d := range digits {
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d|0x20 >= 'a' && d|0x20 <= 'f':
			d = d | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		size = size<<4 | uint64(d)
	}
	return size, len(digits) > 0 && len(digits) <= 8 // 4 GiB, far over any limit of a body
}
