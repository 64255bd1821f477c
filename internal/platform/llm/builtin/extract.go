package builtin

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
)

const (
	maxSentences     = 4
	maxSentenceWords = 60
	titleWeight      = 0.25 // a term in the title against one in the sentence itself
	relevant         = 0.2  // share of the best score below which a sentence is left out
	tooAlike         = 0.8  // share of common terms from which two sentences say the same
)

// sentence is a candidate for the answer.
type sentence struct {
	text     string
	source   int // index of the source
	position int // within the source
	terms    []string
	score    float64
}

// extract gives the sentences that share most with the question, rare words counting more, in the
// order of the sources. When no sentence shares a word (the search goes by meaning too), it gives the
// beginning of the best source and false.
func extract(question string, found []source) ([]sentence, bool) {
	candidates := split(found)
	asked := terms(question)
	weights := rarity(asked, candidates)
	titleTerms := make([]int, len(found)) // of the question
	for i := range found {
		for _, term := range terms(found[i].Title) {
			if slices.Contains(asked, term) {
				titleTerms[i]++
			}
		}
	}
	for i := range candidates {
		c := &candidates[i]
		for _, term := range asked {
			if slices.Contains(c.terms, term) {
				c.score += weights[term]
			}
		}
		c.score += titleWeight * float64(titleTerms[c.source])
	}
	ranked := slices.Clone(candidates)
	slices.SortStableFunc(ranked, func(a, b sentence) int { // stable: the search's own order breaks ties
		return cmp.Compare(b.score, a.score)
	})
	var chosen []sentence
	for _, c := range ranked {
		if c.score == 0 || c.score < relevant*ranked[0].score || len(chosen) == maxSentences {
			break
		}
		if !slices.ContainsFunc(chosen, func(o sentence) bool { return alike(o, c) }) {
			chosen = append(chosen, c)
		}
	}
	exact := len(chosen) > 0
	if !exact {
		chosen = candidates[:min(2, len(candidates))]
		if len(chosen) == 2 && chosen[1].source != chosen[0].source {
			chosen = chosen[:1]
		}
	}
	slices.SortStableFunc(chosen, func(a, b sentence) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.position, b.position))
	})
	return chosen, exact
}

// rarity weighs each term by how few sentences hold it (inverse document frequency).
func rarity(asked []string, candidates []sentence) map[string]float64 {
	weights := make(map[string]float64, len(asked))
	for _, term := range asked {
		holding := 0
		for _, c := range candidates {
			if slices.Contains(c.terms, term) {
				holding++
			}
		}
		weights[term] = math.Log(1 + float64(len(candidates)+1)/float64(holding+1))
	}
	return weights
}

// alike reports whether two sentences say the same, as overlapping passages of one document do.
func alike(a, b sentence) bool {
	if a.text == b.text {
		return true
	}
	common := 0
	for _, term := range a.terms {
		if slices.Contains(b.terms, term) {
			common++
		}
	}
	all := len(a.terms) + len(b.terms) - common
	return all > 0 && float64(common)/float64(all) >= tooAlike
}

var (
	markup       = regexp.MustCompile(`</?[a-zA-Z][^<>]*>`)
	lineMarks    = regexp.MustCompile(`^\s*(?:#{1,6}\s+|[-*+•]\s+|>\s*|\|)`)
	sentenceEnd  = regexp.MustCompile(`[.!?…]["'”’)\]]*\s+`)
	abbreviation = regexp.MustCompile(`(?i)(?:^|[\s(])(?:[a-z]|e\.g|i\.e|etc|vs|dr|mr|mrs|ms|no|fig|approx|inc|ltd|dll|dsb|dst|tn|ny)\.\s+$`)
)

// split cuts what was found into sentences. Lines end a sentence only where the text is laid out in
// lines: headings, bullets, blank lines.
func split(found []source) []sentence {
	var out []sentence
	for i, s := range found {
		text := s.Content
		if strings.TrimSpace(text) == "" {
			text = s.Snippet
		}
		text = strings.NewReplacer("**", "", "__", "", "`", "").Replace(markup.ReplaceAllString(text, ""))
		position := 0
		for _, paragraph := range paragraphs(text) {
			for _, piece := range sentences(paragraph) {
				fields := strings.Fields(piece)
				if len(fields) < 3 {
					continue
				}
				if len(fields) > maxSentenceWords {
					fields = append(fields[:maxSentenceWords:maxSentenceWords], "…")
				}
				clean := strings.Join(fields, " ")
				out = append(out, sentence{text: clean, source: i, position: position, terms: terms(clean)})
				position++
			}
		}
	}
	return out
}

// paragraphs joins lines that run on and drops headings, which are no sentences.
func paragraphs(text string) []string {
	var out []string
	open := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		mark := strings.TrimSpace(lineMarks.FindString(line))
		switch {
		case trimmed == "":
			open = false
		case strings.HasPrefix(mark, "#"):
			open = false
		case mark != "":
			out = append(out, strings.TrimSpace(lineMarks.ReplaceAllString(line, "")))
			open = true
		case open:
			out[len(out)-1] += " " + trimmed
		default:
			out = append(out, trimmed)
			open = true
		}
	}
	return out
}

// sentences cuts a paragraph after the marks that end a sentence, but not after abbreviations.
func sentences(paragraph string) []string {
	var out []string
	start := 0
	for _, at := range sentenceEnd.FindAllStringIndex(paragraph, -1) {
		if abbreviation.MatchString(paragraph[start:at[1]]) {
			continue
		}
		out = append(out, strings.TrimSpace(paragraph[start:at[1]]))
		start = at[1]
	}
	if rest := strings.TrimSpace(paragraph[start:]); rest != "" {
		out = append(out, rest)
	}
	return out
}
