package config

import (
	"maps"
	"slices"
	"strings"
)

// didYouMean gives " (did you mean X?)" for the known name that is nearest, or "" when none is near.
func didYouMean(name string, known map[string]bool) string {
	if bare := strings.TrimPrefix(name, prefix); known[bare] {
		return " (did you mean " + bare + "?)"
	}
	best, least := "", len(name)/4+1 // further away than a quarter of the letters is another word
	for _, candidate := range slices.Sorted(maps.Keys(known)) {
		if d := distance(strings.ToUpper(name), candidate); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}

// distance counts the edits between two names: insertions, deletions, replacements and swaps of
// neighbours (optimal string alignment).
func distance(a, b string) int {
	var before []int // the row before the last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
