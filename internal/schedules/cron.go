package schedules

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// maxCron bounds an expression, in bytes: Temporal keeps it as the comment of a calendar.
const maxCron = 200

// The bounds of each field, as sets.
const (
	allSeconds uint64 = 1<<60 - 1
	allMinutes uint64 = 1<<60 - 1
	allHours   uint64 = 1<<24 - 1
	allDays    uint64 = 1<<32 - 2 // from 1
	allMonths  uint64 = 1<<13 - 2 // from 1
	allWeek    uint64 = 1<<7 - 1  // Sunday is 0
)

// cronField is one of the five fields of an expression.
type cronField struct {
	name     string
	min, max int
	names    []string // of the values from min on; nil: it has none
}

func cronFields() [5]cronField {
	return [5]cronField{
		{name: "minute", max: 59},
		{name: "hour", max: 23},
		{name: "day of month", min: 1, max: 31},
		{name: "month", min: 1, max: 12, names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{name: "day of week", max: 7, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

func macro(text string) string {
	switch strings.ToLower(text) {
	case "@yearly", "@annually":
		return "0 0 1 1 *"
	case "@monthly":
		return "0 0 1 * *"
	case "@weekly":
		return "0 0 * * 0"
	case "@daily", "@midnight":
		return "0 0 * * *"
	case "@hourly":
		return "0 * * * *"
	}
	return text
}

// parseCron reads an expression of crontab(5): five fields, or one of @yearly, @monthly, @weekly, @daily and
// @hourly. As there, a time matches when either its day of the month or its day of the week does, if neither field
// begins with *: such an expression becomes two calendars. The error is a sentence about the expression.
func parseCron(text string) ([]Calendar, error) {
	if len(text) > maxCron {
		return nil, fmt.Errorf("is longer than %d characters", maxCron)
	}
	expression := macro(strings.TrimSpace(text))
	if strings.HasPrefix(expression, "@") {
		return nil, fmt.Errorf("%q is none of @yearly, @monthly, @weekly, @daily, @hourly; intervals go into every", expression)
	}
	parts := strings.Fields(expression)
	if strings.Contains(parts0(parts), "TZ=") {
		return nil, fmt.Errorf("must not name a time zone: that is time_zone")
	}
	fields := cronFields()
	if len(parts) != len(fields) {
		return nil, fmt.Errorf("has %d fields; it needs five: minute, hour, day of month, month, day of week", len(parts))
	}
	var sets [5]uint64
	for i, f := range fields {
		set, err := f.parse(parts[i])
		if err != nil {
			return nil, err
		}
		sets[i] = set
	}
	week := sets[4]
	if week&(1<<7) != 0 { // Sunday has two numbers
		week = week&^(1<<7) | 1
	}
	c := Calendar{Second: 1, Minute: sets[0], Hour: sets[1], DayOfMonth: sets[2], Month: sets[3], DayOfWeek: week, Comment: strings.TrimSpace(text)}
	if strings.HasPrefix(parts[2], "*") || strings.HasPrefix(parts[4], "*") {
		return []Calendar{c}, nil
	}
	byMonth, byWeek := c, c
	byMonth.DayOfWeek, byWeek.DayOfMonth = allWeek, allDays
	return []Calendar{byMonth, byWeek}, nil
}

func parts0(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return parts[0]
}

// parse reads a list of values, ranges and steps: 1,10-20,*/5.
func (f cronField) parse(text string) (set uint64, err error) {
	for item := range strings.SplitSeq(text, ",") {
		first, last, step, err := f.item(item)
		if err != nil {
			return 0, err
		}
		for v := first; v <= last; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func (f cronField) item(text string) (first, last, step int, err error) {
	span, by, stepped := strings.Cut(text, "/")
	step = 1
	if stepped {
		if step, err = number(by); err != nil || step < 1 || step > f.max {
			return 0, 0, 0, fmt.Errorf("the %s has the step %q; it must be a number from 1 to %d", f.name, by, f.max)
		}
	}
	if span == "*" {
		return f.min, f.max, step, nil
	}
	from, to, ranged := strings.Cut(span, "-")
	if first, err = f.value(from); err != nil {
		return 0, 0, 0, err
	}
	switch last = first; {
	case ranged:
		if last, err = f.value(to); err != nil {
			return 0, 0, 0, err
		}
		if f.names != nil && last == 0 && first > 0 { // sat-sun
			last = f.max
		}
		if last < first {
			return 0, 0, 0, fmt.Errorf("the %s has the range %q, which ends before it begins", f.name, span)
		}
	case stepped:
		last = f.max
	}
	return first, last, step, nil
}

func (f cronField) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(name, text) {
			return f.min + i, nil
		}
	}
	if v, err := number(text); err == nil && v >= f.min && v <= f.max {
		return v, nil
	}
	what := fmt.Sprintf("a number from %d to %d", f.min, f.max)
	if f.names != nil {
		what += fmt.Sprintf(" or one of %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	return 0, fmt.Errorf("the %s has the value %q; it must be %s", f.name, text, what)
}

// number reads digits and nothing else; strconv alone also takes signs.
func number(text string) (int, error) {
	if text == "" || len(text) > 3 || strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.Atoi(text)
}

// writeSet is a field as an expression has it.
func writeSet(set, all uint64) string {
	if set == all {
		return "*"
	}
	var items []string
	for _, r := range Spans(set) {
		item := strconv.Itoa(r[0])
		if r[1] > r[0] {
			item += "-" + strconv.Itoa(r[1])
		}
		items = append(items, item)
	}
	return strings.Join(items, ",")
}

// Spans gives the runs of consecutive values in a set, each with its first and last.
func Spans(set uint64) [][2]int {
	var found [][2]int
	for v := 0; set != 0; {
		gap := bits.TrailingZeros64(set)
		set >>= gap
		length := bits.TrailingZeros64(^set)
		v += gap
		found = append(found, [2]int{v, v + length - 1})
		if length == 64 {
			break
		}
		set >>= length
		v += length
	}
	return found
}
