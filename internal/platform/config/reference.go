package config

import (
	"fmt"
	"strings"
)

const referenceHead = `# Configuration

Lari is configured by environment variables and by nothing else. They are checked when a process starts: it lists every
problem at once and refuses to run with an unknown ` + "`LARI_*`" + ` variable. The values in force are logged then, without
secrets. An empty value counts as unset; white space around a value is dropped.

` + "`lari api`" + ` needs ` + "`DATABASE_URL`, `TEMPORAL_ADDRESS`" + ` and one of ` + "`SUPABASE_URL`, `SUPABASE_JWT_SECRET`, `LARI_JWKS_URL`" + `;
` + "`lari worker`" + ` needs the first two, ` + "`lari migrate`" + ` and ` + "`lari bootstrap`" + ` the first, ` + "`lari dev`" + ` none.

This page is generated from the code (` + "`go test ./internal/platform/config -update`" + `); do not edit it.
`

// Reference gives the documentation of every variable as a Markdown page.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, v := range variables(&Config{}) {
		if v.section != "" {
			fmt.Fprintf(&b, "\n## %s\n\n| variable | default | meaning |\n|---|---|---|\n", v.section)
		}
		byDefault := v.byDefault
		if byDefault != "" {
			byDefault = "`" + byDefault + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.name, byDefault, strings.ReplaceAll(v.meaning(), "|", `\|`))
	}
	return b.String()
}

// meaning is the documentation with what the types add to it.
func (v variable) meaning() string {
	text := v.doc
	if v.low != "" && v.high != "" {
		text += fmt.Sprintf(" (%s to %s)", v.low, v.high)
	}
	if _, secret := v.value.Interface().(Secret); secret {
		text += " (secret)"
	}
	return text
}
