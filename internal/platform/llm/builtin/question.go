package builtin

import (
	"regexp"
	"strings"
	"unicode"
)

// stopWords say nothing about what a question is about: English, Indonesian, greetings, and the words
// that questions are made of.
var stopWords = wordSet(`
a about above after again all also am an and any anyone are as at be because been before being below between both but
by can could did do does doing don down during each every few for from further get give had has have having he her here
hers him his how i if in into is it its itself just know let like list many may me might more most much must my need no
nor not now of off on once only or other our out over own please same say says shall she should show so some such tell
than that the their them then there these they this those through to too under until up us very was way we were what
when where which while who whom why will with would yes you your yours explain describe find answer question
hi hello hey thanks thank good morning afternoon evening bye ok okay
ada adalah agar akan aku anda antara apa apakah apabila atas atau bagaimana bagi bahwa baik banyak beberapa begitu
belum berapa bisa boleh buat bukan cara cari dalam dan dapat dari dengan di dia hal hanya harus ini itu jadi jelaskan
jika juga kah kalau kami kamu kapan karena kata ke kemudian kepada kita lagi lalu lebih maka mana mereka mohon namun
oleh pada para paling pernah punya saat saja sambil sampai sangat satu saya sebagai sebuah secara sedang sehingga
sejak sekarang seluruh semua sementara seperti serta setelah setiap siapa sini sudah tapi telah tentang terhadap
tetapi tidak tolong untuk yaitu yakni yang halo hai terima kasih selamat pagi siang sore malam
`)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(text) {
		set[word] = true
	}
	return set
}

// terms gives the distinct words of a text that say something, in a form that ignores inflection.
func terms(text string) []string {
	var out []string
	seen := map[string]bool{}
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}) {
		if stopWords[word] || (len(word) == 1 && word[0] > '9') { // a lone letter is what an apostrophe left
			continue
		}
		if term := stem(word); !seen[term] {
			seen[term] = true
			out = append(out, term)
		}
	}
	return out
}

// endings are cut from a word when at least three letters stay, the first that fits; English and the
// commonest of Indonesian. It needs no grammar: both sides of a comparison are cut alike.
var endings = []struct{ end, with string }{
	{"ies", "y"}, {"ing", ""}, {"nya", ""}, {"lah", ""}, {"kah", ""}, {"es", ""}, {"ed", ""}, {"s", ""}, {"e", ""},
}

func stem(word string) string {
	for _, e := range endings {
		if root, ok := strings.CutSuffix(word, e.end); ok && len(root) >= 3 {
			return root + e.with
		}
	}
	return word
}

var timeQuestion = regexp.MustCompile(`(?i)\b(?:what(?:'s|’s| is)? (?:the )?(?:current |local )?(?:time|date|day)(?: (?:is it|and date|is today))?(?: (?:now|today|right now))?` +
	`|(?:current|local) (?:time|date)|time is it|today(?:'s|’s) date|what day is (?:it|today)` +
	`|(?:sekarang )?(?:jam|pukul|tanggal) berapa(?: sekarang| hari ini)?|hari apa(?: sekarang| ini)?|waktu sekarang)\b`)

// timeOf follows "what time" in questions about something else's time: "what time of day do you open".
var timeOf = regexp.MustCompile(`(?i)^\s*(?:of|for|does|do|did|will|can|should|zone)\b`)

// asksTime reports whether a question asks for the present time or date, and gives it without those words.
func asksTime(question string) (string, bool) {
	at := timeQuestion.FindStringIndex(question)
	if at == nil || timeOf.MatchString(question[at[1]:]) {
		return question, false
	}
	rest := question[:at[0]] + " " + question[at[1]:]
	words := strings.Fields(rest)
	kept := words[:0]
	for _, w := range words {
		switch strings.ToLower(strings.Trim(w, ".,?!")) {
		case "now", "today", "sekarang", "time", "date", "day", "right", "it":
		default:
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " "), true
}
