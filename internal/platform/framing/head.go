package framing

import (
	"bytes"
	"encoding/binary"
	"math"
)

// head is what the lines of a request's head have said so far.
type head struct {
	started   bool // the request line has been read
	http10    bool
	authority string // of an absolute target, without a default port
	scheme    string // of an absolute target
	host      bool
	lengths   bool // a Content-Length has been read
	length    uint64
	chunked   bool
}

// line reads a line of the head that is not empty. It returns what is wrong with it, "" for nothing.
func (h *head) line(line []byte) string {
	if !h.started {
		h.started = true
		return h.requestLine(line)
	}
	name, value, fault := splitField(line)
	if fault != "" {
		return fault
	}
	switch len(name) {
	case len("host"):
		if bytes.EqualFold(name, []byte("host")) {
			return h.setHost(value)
		}
	case len("content-length"):
		if bytes.EqualFold(name, []byte("content-length")) {
			return h.setLength(value)
		}
	case len("transfer-encoding"):
		if bytes.EqualFold(name, []byte("transfer-encoding")) {
			return h.setEncoding(value)
		}
	}
	return ""
}

// end returns what is wrong with the head as a whole.
func (h *head) end() string {
	switch {
	case !h.host && !h.http10:
		return "The request has no Host."
	case h.chunked && h.lengths:
		return "The request has both Content-Length and Transfer-Encoding."
	case h.chunked && h.http10:
		return "A request of HTTP/1.0 has no Transfer-Encoding."
	}
	return ""
}

const badRequestLine = "The request line is not a method, a target and HTTP/1.0 or HTTP/1.1 with one space between them."

func (h *head) requestLine(line []byte) string {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.http10 = true
	default:
		return badRequestLine
	}
	if !isToken(method) || !isVisible(target) {
		return badRequestLine
	}
	return h.target(method, target)
}

// target accepts the four forms of RFC 9112 §3.2.
func (h *head) target(method, target []byte) string {
	const bad = "The target of the request is none of the forms of RFC 9112 §3.2."
	if bytes.IndexByte(target, '#') >= 0 {
		return bad
	}
	if target[0] == '/' || string(target) == "*" && string(method) == "OPTIONS" {
		return ""
	}
	if string(method) == "CONNECT" {
		if !isHost(target) {
			return bad
		}
		return ""
	}
	scheme, rest, found := bytes.Cut(target, []byte("://"))
	scheme = bytes.ToLower(scheme)
	if !found || string(scheme) != "http" && string(scheme) != "https" {
		return bad
	}
	authority := rest
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	if !isHost(authority) {
		return bad
	}
	h.scheme = string(scheme)
	h.authority = canonicalHost(authority, h.scheme)
	return ""
}

func (h *head) setHost(value []byte) string {
	switch {
	case h.host:
		return "The request has more than one Host."
	case !isHost(value):
		return "The Host of the request is not a host with an optional port."
	case h.scheme != "" && canonicalHost(value, h.scheme) != h.authority:
		return "The Host of the request is not that of its target."
	}
	h.host = true
	return ""
}

func (h *head) setLength(value []byte) string {
	const bad = "The Content-Length of the request is not one number."
	if h.lengths { // also when they agree: RFC 9110 §8.6 leaves it to us
		return "The request has more than one Content-Length."
	}
	h.lengths = true
	if len(value) == 0 || len(value) > 18 { // fits in 63 bits
		return bad
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return bad
		}
		h.length = h.length*10 + uint64(c-'0')
	}
	if h.length > math.MaxInt64 {
		return bad
	}
	return ""
}

func (h *head) setEncoding(value []byte) string {
	if h.chunked || !bytes.EqualFold(value, []byte("chunked")) {
		return "The only Transfer-Encoding that is accepted is chunked, once."
	}
	h.chunked = true
	return ""
}

// splitField returns name and value of a field line.
func splitField(line []byte) (name, value []byte, fault string) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, "A header of the request is folded over lines."
	}
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found || !isToken(name) {
		return nil, nil, "A header of the request is not a name, a colon and a value."
	}
	return name, bytes.Trim(value, " \t"), ""
}

// isHost reports whether b is uri-host [ ":" port ] of RFC 9110 §7.2, not empty. A comma, which RFC 3986 allows in a
// name, is refused: it is what joined headers look like.
func isHost(b []byte) bool {
	name, port := b, []byte(nil)
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return false
		}
		name, port = b[1:end], b[end+1:]
		if len(port) > 0 && port[0] != ':' {
			return false
		}
	} else if i := bytes.IndexByte(b, ':'); i >= 0 {
		name, port = b[:i], b[i:]
	}
	for _, c := range name {
		literal := c == ':' && b[0] == '['
		if !literal && !isAlphanumeric(c) && bytes.IndexByte([]byte("-._~%!$&'()*+;="), c) < 0 {
			return false
		}
	}
	for i, c := range port {
		if i > 0 && (c < '0' || c > '9') {
			return false
		}
	}
	return len(name) > 0 && len(port) <= 6
}

// canonicalHost is the host in lower case without the default port of the scheme.
func canonicalHost(b []byte, scheme string) string {
	b = bytes.ToLower(b)
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return string(bytes.TrimSuffix(bytes.TrimSuffix(b, []byte(port)), []byte(":")))
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// tokenLow and tokenHigh are the characters of a token (RFC 9110 §5.6.2), as bits from 0 and from 64.
const (
	tokenLow  = 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.' | (1<<10-1)<<'0'
	tokenHigh = 1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64) | (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)
)

func isToken(b []byte) bool {
	for _, c := range b {
		low, high := uint64(tokenLow), uint64(tokenHigh)
		if c >= 128 || c < 64 && low>>c&1 == 0 || c >= 64 && high>>(c-64)&1 == 0 {
			return false
		}
	}
	return len(b) > 0
}

// isVisible reports whether b is visible ASCII and not empty.
func isVisible(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(b) > 0
}

// isFieldText reports whether b has no control character but tabs (RFC 9110 §5.5).
func isFieldText(b []byte) bool {
	for len(b) >= 8 {
		if hasControl(binary.LittleEndian.Uint64(b)) && !isPlain(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return isPlain(b)
}

func isPlain(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// hasControl reports whether one of eight bytes is below a space or DEL: it finds all of them, and few others.
func hasControl(x uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	del := x ^ 0x7f*ones
	return ((x-' '*ones)&^x|(del-ones)&^del)&high != 0
}
