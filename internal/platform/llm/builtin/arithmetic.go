package builtin

import (
	"regexp"
	"strings"
)

var (
	number    = `\d+(?:\.\d+)?`
	operand   = `[(\s]*-?` + number + `[)\s]*`
	operation = regexp.MustCompile(operand + `(?:(?:\*\*|[-+*/^%])` + operand + `)+`)

	thousands  = regexp.MustCompile(`(\d),(\d{3})\b`)
	percentOf  = regexp.MustCompile(`(?i)(` + number + `)\s*(?:%|percent|persen)\s*(?:of|dari)\s+(` + number + `)`)
	spoken     = regexp.MustCompile(`(?i)(\d\)?)\s+(plus|tambah|ditambah|minus|kurang|dikurangi|times|multiplied by|kali|dikali|x|divided by|over|bagi|dibagi)\s+(\(?-?\d)`)
	multiplied = regexp.MustCompile(`(\d)\s*[xX]\s*(\d)`)

	date      = regexp.MustCompile(`^(?:\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[-/]\d{1,2}[-/]\d{2,4})$`)
	plain     = regexp.MustCompile(`^\d+(?:[-/]\d+)+$`) // a range, "24/7", a part number, or a sum
	computing = regexp.MustCompile(`(?i)\b(?:calculate|compute|calc|hitung|hitunglah|sum|result of)\b|=`)
)

var operators = map[string]string{
	"plus": "+", "tambah": "+", "ditambah": "+", "minus": "-", "kurang": "-", "dikurangi": "-",
	"times": "*", "multiplied by": "*", "kali": "*", "dikali": "*", "x": "*",
	"divided by": "/", "over": "/", "bagi": "/", "dibagi": "/",
}

// arithmetic finds the first sum in a question and gives it, and the question without it.
func arithmetic(question string) (expression, without string, found bool) {
	text := strings.NewReplacer("×", "*", "÷", "/", "−", "-", "–", "-").Replace(question)
	for thousands.MatchString(text) {
		text = thousands.ReplaceAllString(text, "$1$2")
	}
	text = percentOf.ReplaceAllString(text, "$1 / 100 * $2")
	text = multiplied.ReplaceAllString(text, "$1 * $2")
	for spoken.MatchString(text) {
		text = spoken.ReplaceAllStringFunc(text, func(match string) string {
			parts := spoken.FindStringSubmatch(match)
			return parts[1] + " " + operators[strings.ToLower(parts[2])] + " " + parts[3]
		})
	}
	for _, at := range operation.FindAllStringIndex(text, -1) {
		raw := text[at[0]:at[1]]
		at[0] += len(raw) - len(strings.TrimLeft(raw, " \t\n"))
		at[1] -= len(raw) - len(strings.TrimRight(raw, " \t\n"))
		expression = text[at[0]:at[1]]
		without = text[:at[0]] + " " + text[at[1]:]
		switch {
		case !balanced(expression), date.MatchString(expression), insideWord(text, at):
		case plain.MatchString(expression) && !computing.MatchString(without) && len(terms(without)) > 0:
			// "open 24/7", "pages 10-20": only a sum when nothing else is asked, or it says so
		default:
			return expression, computing.ReplaceAllString(without, " "), true
		}
	}
	return "", question, false
}

func balanced(s string) bool {
	depth := 0
	for _, c := range s {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0
}

// insideWord keeps part numbers and versions out: "RTX-4090-2", "v1.2-3".
func insideWord(text string, at []int) bool {
	letter := func(i int) bool {
		return i >= 0 && i < len(text) && (text[i] >= 'a' && text[i] <= 'z' || text[i] >= 'A' && text[i] <= 'Z' || text[i] == '-' || text[i] == '_')
	}
	return letter(at[0]-1) || letter(at[1])
}
