package api

import (
	"strings"

	"github.com/larirun/lari/internal/analytics"
)

// The examples of this file are made by what writes the answers, from an answer of one row of nothing: columns
// cannot come to differ.

func usageExample() map[string]string {
	return tableExample(usageTable(analytics.Usage{Rows: oneOf(analytics.Usage{}.Rows)}), 0)
}

func runsExample() map[string]string {
	return tableExample(runsTable(analytics.Runs{Rows: oneOf(analytics.Runs{}.Rows)}), 0)
}

func latencyExample() map[string]string {
	return tableExample(latencyTable(analytics.Latency{Rows: oneOf(analytics.Latency{}.Rows)}), 0)
}

func platformUsageExample() map[string]string {
	return tableExample(platformUsageTable(analytics.PlatformUsage{Rows: oneOf(analytics.PlatformUsage{}.Rows)}), 1)
}

func oneOf[T any](rows []T) []T { return append(rows, *new(T)) }

// tableExample shows a table. start is the column of the bucket's beginning; its end follows.
func tableExample(t table, start int) map[string]string {
	t[1][start], t[1][start+1] = sampleTime, sampleTime
	var out strings.Builder
	for _, row := range t {
		out.WriteString(strings.Join(row, ",") + "\r\n")
	}
	return map[string]string{mediaCSV: out.String()}
}
