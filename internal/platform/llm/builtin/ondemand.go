package builtin

import (
	"regexp"
	"strconv"
	"strings"
)

// maxOnDemand bounds a text on demand, in words.
const maxOnDemand = 5000

var (
	writeWords = regexp.MustCompile(`(?i)\b(?:write|generate|stream|tulis|tuliskan|buat|buatkan)\b[^.\n\d]{0,40}?(\d[\d.,]*)[ -]*(?:words?|kata)\b`)
	countTo    = regexp.MustCompile(`(?i)\b(?:count|hitung|berhitung)\b[^.\n]{0,40}?\b(?:to|until|sampai|hingga)\s+(\d[\d.,]*)`)
)

// passage is repeated for texts on demand; it tells what it is for.
var passage = strings.Fields(`This text comes from Lari's built-in model, which only streams words on demand so that
you can watch a run live, stop it in the middle, or kill its worker and see that nothing is lost. Every word is one
chunk of the stream and one step of the pace that is set. Reload the page while it runs: what was said is replayed
and what is new follows without a gap. Cancel the run: the words stop at once and only what was said is counted.`)

// onDemand gives the text for "write N words" and "count to N", exactly N words, at most 5000.
func onDemand(question string) (string, bool) {
	if n, ok := amount(countTo, question); ok {
		numbers := make([]string, n)
		for i := range numbers {
			numbers[i] = strconv.Itoa(i + 1)
		}
		return strings.Join(numbers, " "), true
	}
	if n, ok := amount(writeWords, question); ok {
		text := make([]string, n)
		for i := range text {
			text[i] = passage[i%len(passage)]
		}
		return strings.Join(text, " "), true
	}
	return "", false
}

func amount(pattern *regexp.Regexp, question string) (int, bool) {
	match := pattern.FindStringSubmatch(question)
	if match == nil {
		return 0, false
	}
	digits := strings.NewReplacer(".", "", ",", "").Replace(match[1])
	n, err := strconv.Atoi(digits)
	switch {
	case err != nil: // more digits than an int holds
		return maxOnDemand, true
	case n < 1:
		return 0, false
	}
	return min(n, maxOnDemand), true
}
