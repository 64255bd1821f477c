package builtin

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/larirun/lari/internal/platform/llm"
)

// source is one thing that knowledge_search found.
type source struct {
	Title   string `json:"title"`
	URI     string `json:"uri"`
	Snippet string `json:"snippet"`
	Content string `json:"content"`
}

// report composes the answer from the tools' results.
func report(question string, results []llm.Message) string {
	var (
		parts    []string
		sources  []source
		searched bool
	)
	for _, result := range results {
		switch {
		case result.IsError:
			parts = append(parts, fmt.Sprintf("The tool %s failed: %s", result.ToolName, shorten(result.Content, 300)))
		case result.ToolName == searchTool:
			searched = true
			sources = append(sources, parse(result.Content)...)
		case result.ToolName == calculatorTool:
			parts = append(parts, "The calculator says: "+value(result.Content)+".")
		case result.ToolName == clockTool:
			parts = append(parts, "The clock says: "+value(result.Content)+".")
		default:
			parts = append(parts, fmt.Sprintf("The tool %s answered: %s", result.ToolName, value(result.Content)))
		}
	}
	if searched {
		parts = append(parts, cited(question, sources))
	}
	return strings.Join(parts, "\n\n")
}

// parse reads what knowledge_search returns; anything else counts as one source without a name.
func parse(content string) []source {
	var found struct {
		Results []source `json:"results"`
	}
	if json.Unmarshal([]byte(content), &found) == nil {
		return found.Results
	}
	return []source{{Title: "Search result", Content: content}}
}

// value gives a small result as text: the member that carries it, if it is JSON.
func value(content string) string {
	content = strings.TrimSpace(content)
	var members map[string]any
	decoder := json.NewDecoder(strings.NewReader(content))
	decoder.UseNumber() // a float would turn 1234567 into 1.234567e+06
	if decoder.Decode(&members) == nil {
		for _, name := range []string{"result", "value", "answer", "time", "now", "datetime", "iso", "text"} {
			switch v := members[name].(type) {
			case nil, map[string]any, []any:
			default:
				return shorten(fmt.Sprint(v), 300)
			}
		}
	}
	return strings.TrimRight(shorten(content, 300), ".")
}

// cited gives the best sentences with the numbers of their sources, and the sources.
func cited(question string, found []source) string {
	chosen, exact := extract(question, found)
	if len(chosen) == 0 {
		return "I searched this workspace's knowledge and found nothing about that."
	}
	var text strings.Builder
	if exact {
		text.WriteString("This is what the knowledge of this workspace says:\n\n")
	} else {
		text.WriteString("No passage uses the words of the question; the nearest one says:\n\n")
	}
	var (
		numbers = map[string]int{}
		listed  []string
	)
	for i, s := range chosen {
		if i > 0 {
			text.WriteString(" ")
		}
		from := found[s.source]
		key := from.Title + "\x00" + from.URI // passages of one document share a number
		if numbers[key] == 0 {
			numbers[key] = len(numbers) + 1
			listed = append(listed, fmt.Sprintf("[%d] %s", numbers[key], name(from)))
		}
		fmt.Fprintf(&text, "%s [%d]", s.text, numbers[key])
	}
	text.WriteString("\n\nSources:\n" + strings.Join(listed, "\n"))
	return text.String()
}

func name(s source) string {
	title, uri := shorten(s.Title, 120), strings.TrimSpace(s.URI)
	switch {
	case title == "" && uri == "":
		return "Untitled"
	case title == "":
		return uri
	case uri == "" || uri == title:
		return title
	}
	return title + " (" + uri + ")"
}
