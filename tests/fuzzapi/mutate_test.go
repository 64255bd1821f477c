package fuzzapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
)

// raw stands in a body for a text that is put there as it is, JSON or not.
type raw string

// encode writes a body with its raw parts. What a raw part makes of it is the mutation's purpose.
func encode(body any) []byte {
	var parts []string
	text, err := json.Marshal(replaceRaw(body, &parts))
	if err != nil {
		return []byte("{}")
	}
	for i, part := range parts {
		text = bytes.Replace(text, fmt.Appendf(nil, `"@raw-%d@"`, i), []byte(part), 1)
	}
	return text
}

func replaceRaw(v any, parts *[]string) any {
	switch v := v.(type) {
	case raw:
		*parts = append(*parts, string(v))
		return fmt.Sprintf("@raw-%d@", len(*parts)-1)
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range sortedKeys(v) {
			out[k] = replaceRaw(v[k], parts)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = replaceRaw(e, parts)
		}
		return out
	}
	return v
}

// place is somewhere in a body where a value can be put.
type place struct {
	object map[string]any // nil: array counts
	key    string
	array  []any
	index  int
}

func (p place) set(v any) {
	if p.object != nil {
		p.object[p.key] = v
		return
	}
	p.array[p.index] = v
}

func places(v any, found []place) []place {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			found = places(v[k], append(found, place{object: v, key: k}))
		}
	case []any:
		for i, e := range v {
			found = places(e, append(found, place{array: v, index: i}))
		}
	}
	return found
}

// mutateBody changes one thing in a body; properties are the names that its schema has.
func (g maker) mutateBody(body map[string]any, properties []string) string {
	all := places(body, nil)
	if len(all) == 0 || g.one(15) {
		name := g.word()
		if len(properties) > 0 && g.one(60) {
			name = properties[g.IntN(len(properties))]
		}
		body[name] = g.odd()
		return "an odd " + name
	}
	at := all[g.IntN(len(all))]
	if at.object != nil && g.one(15) {
		delete(at.object, at.key)
		return "without " + at.key
	}
	if at.object != nil && g.one(10) { // twice, also in another case
		at.object[strings.ToUpper(at.key)] = at.object[at.key]
		at.set(raw(fmt.Sprintf(`1, %q: 2`, at.key)))
		return at.key + " twice"
	}
	at.set(g.odd())
	return "odd at " + at.key
}

// odd is a value that hardly any place takes.
func (g maker) odd() any {
	switch g.IntN(26) {
	case 0:
		return nil
	case 1:
		return true
	case 2:
		return -1
	case 3:
		return 0
	case 4:
		return raw(pick(g.Rand, "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1e400", "-0", "0.5", "1e-400", "2147483648", "1E+5", "99999999999999999999999"))
	case 5:
		return []any{}
	case 6:
		return map[string]any{}
	case 7:
		return ""
	case 8:
		return " "
	case 9:
		return strings.Repeat("x", 1+g.IntN(200_001))
	case 10:
		return raw(`"a\u0000b"`)
	case 11:
		return raw(pick(g.Rand, `"\ud800"`, `"\udc00\ud800"`, `"\uDBFF"`, `"\ud800x"`))
	case 12:
		return raw("\"" + pick(g.Rand, "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", "\x00", "\x1f", "\t") + "\"")
	case 13:
		return raw(strings.Repeat("[", 100) + strings.Repeat("]", 100))
	case 14:
		return raw(strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70))
	case 15:
		return pick(g.Rand, "\u202e\u200b\u2028\ufeff", "\U0001F468\u200d\U0001F469", "e\u0301", "\ufffd\uffff", "İıſ", "\x7f")
	case 16:
		return pick(g.Rand, "'; drop table agent_runs; --", "{{7*7}}", "${jndi:ldap://x}", "../../etc/passwd", "<script>", "%00", "\\", "a\r\nb: c", "*", "%", "_")
	case 17:
		return g.uuid()
	case 18:
		return pick(g.Rand, "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "{"+g.uuid()+"}", strings.ToUpper(g.uuid()), strings.ReplaceAll(g.uuid(), "-", ""))
	case 19:
		return pick(g.Rand, "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-01-01", "2026-01-01T00:00:00+24:00", "-0001-01-01T00:00:00Z", "2026-01-01T00:00:60Z")
	case 20:
		return pick(g.Rand, "1e9999", "NaN", "Infinity", "-0.00", "1_000", "0x10", strings.Repeat("9", 60), "٣")
	case 21:
		return pick(g.Rand, "http://169.254.169.254/", "http://[::1]:9/", "file:///etc/passwd", "http://x@127.0.0.1:9/", "https://", "ht tp://x", "http://"+strings.Repeat("a", 300), "http://127.0.0.1:99999/", "//x", "javascript:1")
	case 22:
		all := make([]any, 300)
		for i := range all {
			all[i] = "x"
		}
		return all
	case 23:
		many := map[string]any{}
		for i := range 200 {
			many[fmt.Sprint("key", i)] = i
		}
		return many
	case 24:
		return map[string]any{"": 1, " ": 2, "a.b": 3, "__proto__": 4, "$ref": "#"}
	}
	return g.anything(0)
}

// mangle changes the text of a body, or what its headers say of it.
func (g maker) mangle(q *request) string {
	switch g.IntN(16) {
	case 0:
		q.body = q.body[:g.IntN(len(q.body)+1)]
		return "cut off"
	case 1:
		q.body = append(q.body, pick(g.Rand, "{}", "x", "\x00", ",", "]", " \n", "// c")...)
		return "with a tail"
	case 2:
		q.body = append([]byte("\xef\xbb\xbf"), q.body...)
		return "with a byte order mark"
	case 3:
		q.body = nil
		return "empty"
	case 4:
		q.body = []byte(pick(g.Rand, "null", "[]", `""`, "0", "true", "{}", "[{}]", "{", "}", "nul", "{\"\":}", "{'a':1}", "{\"a\":1,}", "\x00", " "))
		return "another value"
	case 5:
		q.set("Content-Type", pick(g.Rand, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=latin1", "application/json;;;", "", "application/xml", "APPLICATION/JSON; Charset=\"UTF-8\"", "application/vnd.api+json", "*/*"))
		return "of another type"
	case 6:
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(q.body)
		_ = w.Close()
		q.body = b.Bytes()
		q.set("Content-Encoding", "gzip")
		return "gzipped"
	case 7:
		q.set("Content-Encoding", pick(g.Rand, "br", "deflate", "identity", "gzip, gzip", "x"))
		return "with an encoding that it has not"
	case 8:
		for range 1 + g.IntN(5) {
			if len(q.body) > 0 {
				q.body[g.IntN(len(q.body))] = byte(g.Uint32())
			}
		}
		return "with bytes changed"
	case 9:
		q.body = g.garbage(500)
		return "garbage"
	case 10:
		q.body = append(bytes.Repeat([]byte(" "), 1+g.IntN(100_000)), q.body...)
		return "after much space"
	case 11:
		q.body = fmt.Appendf(nil, `{"metadata":{"a":%q}}`, strings.Repeat("y", 1<<20))
		return "over the limit"
	case 12:
		q.body = bytes.ToUpper(q.body)
		return "in capitals"
	case 13:
		q.body = []byte(strings.Repeat(`{"a":`, 5000))
		return "nested without end"
	case 14:
		q.chunked = true
		return "chunked"
	}
	q.body = bytes.ReplaceAll(q.body, []byte(`"`), []byte(`'`))
	return "in single quotes"
}

func (g maker) garbage(most int) []byte {
	b := make([]byte, g.IntN(most)+1)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

func (g maker) visible(most int) string {
	b := make([]byte, g.IntN(most)+1)
	for i := range b {
		b[i] = byte('!' + g.IntN('~'-'!'))
	}
	return string(b)
}
