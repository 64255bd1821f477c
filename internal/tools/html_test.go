package tools

import (
	"strings"
	"testing"
)

func TestPlainText(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ html, title, text string }{
		"plain":          {"just text", "", "just text"},
		"document":       {"<!doctype html><html><head><title> A \n B </title></head><body><p>one</p><p>two</p></body></html>", "A B", "one\ntwo"},
		"scripts":        {"a<script>if (1 < 2) alert('<p>x</p>')</script><style>p{}</style><noscript><p>no</p></noscript>b", "", "ab"},
		"frames":         {"a<iframe src=x>inner</iframe>b", "", "ab"},
		"inline":         {"<p>a <b>bold</b>, and<i> more</i>.</p>", "", "a bold, and more."},
		"white space":    {"<p>\n  a\n\n  b  </p>\n\n<div>  c</div>", "", "a b\nc"},
		"breaks":         {"a<br>b<br/>c<hr>d", "", "a\nb\nc\nd"},
		"entities":       {"&lt;p&gt; &amp; &eacute;&nbsp;&#x1F642;", "", "<p> & é 🙂"},
		"table":          {"<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "", "a b\n1 2"},
		"list":           {"<ul><li>a<li>b</ul>", "", "a\nb"},
		"code":           {"<p>see</p><pre>if x:\n    y()\n</pre><p>end</p>", "", "see\nif x:\n    y()\n\nend"},
		"comment":        {"a<!-- <p>hidden</p> -->b", "", "ab"},
		"second title":   {"<title>page</title><svg><title>icon</title></svg>", "page", "icon"},
		"not closed":     {"<p>a<script>evil(", "", "a"},
		"title unclosed": {"<title>everything", "everything", ""},
		"broken":         {"<p <b>a</</p>b <", "", "ab <"},
		"empty":          {"", "", ""},
	} {
		title, text := plainText(tt.html)
		if title != tt.title || text != tt.text {
			t.Errorf("%s: title %q, text %q", name, title, text)
		}
	}
	if _, text := plainText(strings.Repeat("<div>", 50_000) + "deep"); text != "deep" {
		t.Errorf("deep nesting gives %q", text)
	}
}
