package tools

import (
	"strings"

	"golang.org/x/net/html"
)

// plainText gives the title and the readable text of an HTML document: no tags, no scripts, one line
// per block. It reads tokens, not a tree: linear in the input, whatever its nesting.
func plainText(document string) (title, text string) {
	z := html.NewTokenizer(strings.NewReader(document))
	var w textWriter
	var heading strings.Builder
	skipped := "" // the element whose raw text is passed over
	inTitle, seenTitle := false, false
	for {
		switch z.Next() {
		case html.ErrorToken: // the end: reading from a string has no other error
			return oneLine(heading.String()), w.finish()
		case html.TextToken:
			switch {
			case inTitle:
				heading.Write(z.Text())
			case skipped == "":
				w.write(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			switch tag := element(z); {
			case tag == "title" && !seenTitle: // an SVG's title comes later
				inTitle, seenTitle = true, true
			case unseen(tag):
				skipped = tag
			default:
				w.open(tag)
			}
		case html.EndTagToken:
			tag := element(z)
			if tag == skipped {
				skipped = ""
			}
			if tag == "title" {
				inTitle = false
			}
			w.closed(tag)
		case html.CommentToken, html.DoctypeToken:
		}
	}
}

// element gives the tag's name in lower case.
func element(z *html.Tokenizer) string {
	name, _ := z.TagName()
	return string(name)
}

// unseen elements hold raw text that no reader sees.
func unseen(tag string) bool {
	switch tag {
	case "script", "style", "noscript", "iframe", "noembed", "noframes":
		return true
	default:
		return false
	}
}

func block(tag string) bool {
	switch tag {
	case "address", "article", "aside", "blockquote", "br", "dd", "details", "div", "dl",
		"dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
		"h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "option", "p",
		"pre", "section", "summary", "table", "textarea", "tr", "ul":
		return true
	default:
		return false
	}
}

// textWriter collapses white space as a browser does, outside <pre>.
type textWriter struct {
	b       strings.Builder
	pre     int
	newline bool // a line break is due before the next text
	space   bool // a space is due before the next text
}

func (w *textWriter) open(tag string) {
	switch {
	case tag == "td" || tag == "th":
		w.space = true
	case block(tag):
		w.newline = true
	}
	if tag == "pre" {
		w.pre++
	}
}

func (w *textWriter) closed(tag string) {
	w.newline = w.newline || block(tag)
	if tag == "pre" && w.pre > 0 {
		w.pre--
	}
}

func (w *textWriter) write(text string) {
	if w.pre > 0 {
		w.gap()
		w.b.WriteString(text)
		return
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		w.space = w.space || text != ""
		return
	}
	w.space = w.space || strings.TrimLeft(text, " \t\r\n\f") != text
	w.gap()
	w.b.WriteString(strings.Join(words, " "))
	w.space = strings.TrimRight(text, " \t\r\n\f") != text
}

// gap writes the break that is due, none at the beginning.
func (w *textWriter) gap() {
	if w.b.Len() > 0 {
		switch {
		case w.newline:
			w.b.WriteByte('\n')
		case w.space:
			w.b.WriteByte(' ')
		}
	}
	w.newline, w.space = false, false
}

func (w *textWriter) finish() string { return strings.TrimSpace(w.b.String()) }
