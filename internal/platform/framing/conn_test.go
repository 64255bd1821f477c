package framing_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/platform/framing"
)

const maxHead = 4 << 10

// script is a connection that delivers its text in pieces of a size.
type script struct {
	net.Conn
	text  []byte
	piece int
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.text[:min(s.piece, len(s.text))])
	s.text = s.text[n:]
	return n, nil
}

type scripted struct{ conns chan net.Conn }

func (s scripted) Accept() (net.Conn, error) { return <-s.conns, nil }
func (s scripted) Close() error              { return nil }
func (s scripted) Addr() net.Addr            { return nil }

func connOf(text string, piece int) net.Conn {
	s := scripted{make(chan net.Conn, 1)}
	s.conns <- &script{text: []byte(text), piece: piece}
	c, _ := framing.NewListener(s, maxHead).Accept()
	return c
}

// read returns what a server is given of the text, and why it was given no more.
func read(text string, piece, buffer int) (passed string, refusal *framing.Refusal) {
	c := connOf(text, piece)
	var out bytes.Buffer
	p := make([]byte, buffer)
	for {
		n, err := c.Read(p)
		out.Write(p[:n])
		if err != nil {
			return out.String(), framing.RefusalOf(c)
		}
	}
}

const host = "Host: example.com\r\n"

func get(target, headers string) string { return "GET " + target + " HTTP/1.1\r\n" + headers + "\r\n" }

func post(headers, body string) string { return "POST / HTTP/1.1\r\n" + host + headers + "\r\n" + body }

func TestConn_PassesValidRequestsUnchanged(t *testing.T) {
	t.Parallel()
	chunked := "Transfer-Encoding: chunked\r\n"
	for name, text := range map[string]string{
		"plain":                   get("/", host),
		"HTTP/1.0 without a host": "GET / HTTP/1.0\r\n\r\n",
		"host with a port":        get("/", "Host: example.com:8080\r\n"),
		"IPv6":                    get("/", "Host: [::1]:8080\r\n"),
		"absolute":                get("http://example.com/a?b", host),
		"absolute, other case":    get("HTTP://EXAMPLE.com:80/a", host),
		"absolute, no path":       get("https://example.com", "Host: example.com:443\r\n"),
		"asterisk":                "OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
		"any method":              "PROPFIND /x HTTP/1.1\r\n" + host + "\r\n",
		"optional whitespace":     get("/", host+"A:  \t b \t\r\nB:\r\n"),
		"tab and obs-text":        get("/", host+"A: a\tb\xe4\r\n"),
		"body":                    post("Content-Length: 5\r\n", "he\n\x00o"),
		"no body":                 post("content-length: 0\r\n", ""),
		"leading zero":            post("Content-Length: 005\r\n", "hello"),
		"chunks":                  post(chunked, "5\r\nhello\r\n0A\r\n0123456789\r\n0\r\n\r\n"),
		"chunk extension":         post("transfer-encoding: Chunked\r\n", "5;a=\"b\"\r\nhello\r\n000 ;x\r\n\r\n"),
		"chunk of line ends":      post(chunked, "4\r\n\r\n\r\n\r\n0\r\n\r\n"),
		"pipelined":               get("/a", host) + post("Content-Length: 3\r\n", "abc") + post(chunked, "1\r\nx\r\n0\r\n\r\n") + get("/b", host),
		"long body":               post("Content-Length: 9000\r\n", strings.Repeat("x", 9000)) + get("/", host),
	} {
		for _, piece := range []int{1, 2, 3, 7, 64, 1 << 20} {
			for _, buffer := range []int{1, 5, 4096} {
				if got, refusal := read(text, piece, buffer); refusal != nil || got != text {
					t.Errorf("%s in pieces of %d: %q, %v", name, piece, got, refusal)
				}
			}
		}
	}
}

func TestConn_DropsEmptyLinesAndTrailers(t *testing.T) {
	t.Parallel()
	chunked := post("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n")
	for text, want := range map[string]string{
		"\r\n" + get("/", host):                                             get("/", host),
		get("/a", host) + "\r\n\r\n" + get("/b", host):                      get("/a", host) + get("/b", host),
		chunked + "X-Api-Key: k\r\nX-Tenant-Id: t\r\n\r\n" + get("/", host): chunked + "\r\n" + get("/", host),
	} {
		for _, piece := range []int{1, 2, 3, 1 << 20} {
			if got, refusal := read(text, piece, 4096); refusal != nil || got != want {
				t.Errorf("%q in pieces of %d: %q, %v", text, piece, got, refusal)
			}
		}
	}
}

// ambiguous are requests that two parsers could delimit or route differently.
func ambiguous() map[string]string {
	chunks := "1\r\nx\r\n0\r\n\r\n"
	te := func(value string) string { return post("Transfer-Encoding:"+value+"\r\n", chunks) }
	chunk := func(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }
	length := func(value string) string { return post("Content-Length:"+value+"\r\n", "hello") }
	return map[string]string{
		"two lengths that differ":      post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"),
		"two lengths that agree":       post("Content-Length: 5\r\ncontent-length: 5\r\n", "hello"),
		"a list of lengths":            length(" 5, 5"),
		"a signed length":              length(" +5"),
		"a negative length":            length(" -5"),
		"a hexadecimal length":         length(" 0x5"),
		"a length with a space":        length(" 5 5"),
		"an empty length":              length(""),
		"a length of other digits":     length(" ٥"),
		"a length beyond 63 bits":      length(" 18446744073709551621"),
		"length and chunks":            post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks),
		"chunks and length":            post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks),
		"xchunked":                     te(" xchunked"),
		"chunked, identity":            te(" chunked, identity"),
		"gzip, chunked":                te(" gzip, chunked"),
		"identity":                     te(" identity"),
		"chunked twice in a list":      te(" chunked, chunked"),
		"chunked twice":                post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks),
		"chunked and identity":         post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunks),
		"an empty coding":              te(""),
		"a quoted coding":              te(" \"chunked\""),
		"a coding with a parameter":    te(" chunked;q=1"),
		"a coding after vertical tab":  te(" \x0bchunked"),
		"chunks in HTTP/1.0":           "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + chunks,
		"space before a colon":         post("Content-Length : 5\r\n", "hello"),
		"tab before a colon":           post("Transfer-Encoding\t: chunked\r\n", chunks),
		"space before a name":          "GET / HTTP/1.1\r\n Host: example.com\r\n\r\n",
		"folded header":                get("/", host+"A: b\r\n c\r\n"),
		"folded length":                post("Content-Length:\r\n 5\r\n", "hello"),
		"no colon":                     get("/", host+"nonsense\r\n"),
		"no name":                      get("/", host+": b\r\n"),
		"a name in quotes":             get("/", host+"\"A\": b\r\n"),
		"a name beyond ASCII":          get("/", host+"Ä: b\r\n"),
		"NUL in a value":               get("/", host+"A: b\x00c\r\n"),
		"a control in a value":         get("/", host+"A: b\x01c\r\n"),
		"DEL in a value":               get("/", host+"A: b\x7fc\r\n"),
		"bare CR in a value":           get("/", host+"A: b\rContent-Length: 5\r\n"),
		"NUL in a name":                get("/", host+"A\x00: b\r\n"),
		"bare LF in the head":          "GET / HTTP/1.1\n" + host + "\r\n",
		"bare LF after a header":       "GET / HTTP/1.1\r\nHost: example.com\n\r\n",
		"bare LF at the end":           "GET / HTTP/1.1\r\n" + host + "\n",
		"bare LF everywhere":           "GET / HTTP/1.1\nHost: example.com\n\n",
		"CR CR LF":                     "GET / HTTP/1.1\r\r\n" + host + "\r\n",
		"bare LF before the request":   "\n" + get("/", host),
		"no host":                      get("/", ""),
		"two hosts":                    get("/", host+"Host: other.com\r\n"),
		"two hosts that agree":         get("/", host+host),
		"an empty host":                get("/", "Host:\r\n"),
		"a list of hosts":              get("/", "Host: a, b\r\n"),
		"a host with a path":           get("/", "Host: a/b\r\n"),
		"a host with userinfo":         get("/", "Host: u@a\r\n"),
		"a host with a bad port":       get("/", "Host: a:x\r\n"),
		"a host with two ports":        get("/", "Host: a:1:2\r\n"),
		"an open bracket":              get("/", "Host: [::1\r\n"),
		"absolute, another host":       get("http://other.com/", host),
		"absolute, another port":       get("http://example.com:81/", host),
		"absolute, with userinfo":      get("http://u@example.com/", host),
		"absolute, without a host":     get("http:///x", host),
		"absolute, another scheme":     get("ftp://example.com/", host),
		"a relative target":            get("v1/runs", host),
		"an empty target":              "GET  HTTP/1.1\r\n" + host + "\r\n",
		"asterisk for a GET":           get("*", host),
		"a fragment":                   get("/a#b", host),
		"a space in the target":        get("/a b", host),
		"two spaces after the method":  "GET  / HTTP/1.1\r\n" + host + "\r\n",
		"two spaces after the target":  "GET /  HTTP/1.1\r\n" + host + "\r\n",
		"a tab after the method":       "GET\t/ HTTP/1.1\r\n" + host + "\r\n",
		"a space before the method":    " GET / HTTP/1.1\r\n" + host + "\r\n",
		"a space after the version":    "GET / HTTP/1.1 \r\n" + host + "\r\n",
		"a control in the target":      get("/\x01", host),
		"a byte beyond ASCII":          get("/ä", host),
		"a method that is no token":    "GE(T / HTTP/1.1\r\n" + host + "\r\n",
		"HTTP/0.9":                     "GET /\r\n",
		"HTTP/0.9 with headers":        "GET /\r\n" + host + "\r\n",
		"HTTP/1.2":                     "GET / HTTP/1.2\r\n" + host + "\r\n",
		"HTTP/9.9":                     "GET / HTTP/9.9\r\n" + host + "\r\n",
		"http/1.1":                     "GET / http/1.1\r\n" + host + "\r\n",
		"HTTP/01.1":                    "GET / HTTP/01.1\r\n" + host + "\r\n",
		"HTTP/2":                       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"no version number":            "GET / HTTP/\r\n" + host + "\r\n",
		"chunk size of letters":        chunk("zz\r\nhello\r\n0\r\n\r\n"),
		"chunk size with 0x":           chunk("0x5\r\nhello\r\n0\r\n\r\n"),
		"chunk size with a sign":       chunk("+5\r\nhello\r\n0\r\n\r\n"),
		"a negative chunk size":        chunk("-5\r\nhello\r\n0\r\n\r\n"),
		"an empty chunk size":          chunk("\r\nhello\r\n0\r\n\r\n"),
		"a space before a chunk size":  chunk(" 5\r\nhello\r\n0\r\n\r\n"),
		"a space after a chunk size":   chunk("5 \r\nhello\r\n0\r\n\r\n"),
		"an underscore in a size":      chunk("1_0\r\nhello\r\n0\r\n\r\n"),
		"a chunk size beyond 64 bits":  chunk("10000000000000005\r\nhello\r\n0\r\n\r\n"),
		"a chunk size beyond 32 bits":  chunk("100000005\r\nhello\r\n0\r\n\r\n"),
		"a chunk size ending in LF":    chunk("5\nhello\r\n0\r\n\r\n"),
		"a chunk longer than its size": chunk("5\r\nhello!\r\n0\r\n\r\n"),
		"a chunk ending in LF":         chunk("5\r\nhello\n0\r\n\r\n"),
		"a chunk without its end":      chunk("5\r\nhello0\r\n\r\n"),
		"a bare CR in an extension":    chunk("5;a\rb\r\nhello\r\n0\r\n\r\n"),
		"a long extension":             chunk("5;" + strings.Repeat("a", 300) + "\r\nhello\r\n0\r\n\r\n"),
		"a last chunk ending in LF":    chunk("0\n\r\n"),
		"an end of LF":                 chunk("0\r\n\n"),
		"a trailer without a colon":    chunk("0\r\nnonsense\r\n\r\n"),
		"a folded trailer":             chunk("0\r\nA: b\r\n c\r\n\r\n"),
		"NUL in a trailer":             chunk("0\r\nA: \x00\r\n\r\n"),
	}
}

// What is refused never reaches a server as a whole request, wherever it comes in the stream and however it is split.
func TestConn_RefusesAmbiguousFraming(t *testing.T) {
	t.Parallel()
	before := get("/before", host)
	for name, text := range ambiguous() {
		for _, piece := range []int{1, 2, 3, 7, 1 << 20} {
			for _, prefix := range []string{"", before} {
				got, refusal := read(prefix+text+get("/after", host), piece, 4096)
				if refusal == nil || refusal.TooLarge || refusal.Detail == "" {
					t.Errorf("%s in pieces of %d: %v", name, piece, refusal)
				}
				rest, found := strings.CutPrefix(got, prefix)
				if !found || rest == "" || strings.Contains(rest, "/after") {
					t.Errorf("%s in pieces of %d: the server is given %q", name, piece, got)
				}
				r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(rest)))
				if err == nil {
					_, err = io.ReadAll(r.Body)
				}
				if err == nil {
					t.Errorf("%s in pieces of %d: the server is given a whole request: %q", name, piece, rest)
				}
			}
		}
	}
}

func TestConn_RefusesLongHeads(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a long line":       get("/"+strings.Repeat("a", maxHead), host),
		"many lines":        get("/", host+strings.Repeat("A: b\r\n", maxHead/6)),
		"many empty lines":  strings.Repeat("\r\n", maxHead) + get("/", host),
		"a line for ever":   strings.Repeat("a", 4*maxHead),
		"trailers for ever": post("Transfer-Encoding: chunked\r\n", "0\r\n"+strings.Repeat("A: b\r\n", maxHead)),
	} {
		for _, piece := range []int{3, 1 << 20} {
			if _, refusal := read(text, piece, 512); refusal == nil || !refusal.TooLarge {
				t.Errorf("%s in pieces of %d: %v", name, piece, refusal)
			}
		}
	}
}

// requests reads all requests of a stream with net/http.
func requests(t *testing.T, text string) (all []string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(text))
	for {
		q, err := http.ReadRequest(r)
		if err != nil {
			return all
		}
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return all
		}
		all = append(all, q.Method+" "+q.RequestURI+" "+string(body))
	}
}

// fastRequests reads them as the server does.
func fastRequests(c net.Conn) (all []string) {
	r := bufio.NewReaderSize(c, 4<<10)
	for {
		var q fasthttp.Request
		if err := q.Read(r); err != nil {
			return all
		}
		all = append(all, string(q.Header.Method())+" "+string(q.Header.RequestURI())+" "+string(q.Body()))
	}
}

// FuzzConn: how a stream is split changes nothing, and net/http and fasthttp find the same requests in what is passed on.
func FuzzConn(f *testing.F) {
	f.Add([]byte(get("/", host)+post("Content-Length: 3\r\n", "abc")), 5)
	f.Add([]byte(post("Transfer-Encoding: chunked\r\n", "5;x\r\nhello\r\n0\r\nA: b\r\n\r\n")+get("/", host)), 3)
	for _, text := range ambiguous() {
		f.Add([]byte(text+get("/", host)), 2)
	}
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		piece = max(piece%64, 1)
		whole, refusal := read(string(text), 1<<20, 4<<10)
		split, again := read(string(text), piece, 1+piece)
		if (refusal == nil) != (again == nil) || refusal == nil && whole != split {
			t.Fatalf("in one piece %q, %v; in pieces of %d %q, %v", whole, refusal, piece, split, again)
		}
		want := requests(t, whole)
		if got := fastRequests(connOf(string(text), piece)); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("net/http finds %q, fasthttp %q in %q", want, got, whole)
		}
	})
}

func BenchmarkConn(b *testing.B) {
	text := "POST /v1/runs HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\nAuthorization: Bearer " + strings.Repeat("e", 600) + "\r\nContent-Type: application/json\r\n" +
		"X-Request-Id: 0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f\r\nContent-Length: 200\r\n\r\n" + strings.Repeat("x", 200)
	for _, framed := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "framed"}[framed]
		b.Run(name, func(b *testing.B) {
			var c net.Conn = &endless{text: text}
			if framed {
				s := scripted{make(chan net.Conn, 1)}
				s.conns <- c
				c, _ = framing.NewListener(s, 16<<10).Accept()
			}
			p := make([]byte, 16<<10)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Read(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type endless struct {
	net.Conn
	text string
}

func (e *endless) Read(p []byte) (int, error) { return copy(p, e.text), nil }

func TestRefusalOf_OtherConnections(t *testing.T) {
	t.Parallel()
	if framing.RefusalOf(nil) != nil || framing.RefusalOf(&script{}) != nil {
		t.Error("a connection without framing is refused")
	}
	var refusal *framing.Refusal
	_, err := io.ReadAll(connOf("GET /\r\n", 100))
	if !errors.As(err, &refusal) {
		t.Errorf("the error of a refused connection is %v", err)
	}
}
