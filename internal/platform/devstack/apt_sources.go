package devstack

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// aptSource is one entry of the machine's package sources, reduced to what we copy into private lists.
type aptSource struct {
	uris, suites, components []string
	signedBy                 string // a key file, or a whole key as deb822 continuation lines
	trusted                  string
}

// machineAptSources reads the sources that the machine already trusts: no host is ever typed here.
func machineAptSources(etc string) []aptSource {
	var sources []aptSource
	files := []string{filepath.Join(etc, "sources.list")}
	if more, err := filepath.Glob(filepath.Join(etc, "sources.list.d", "*")); err == nil {
		files = append(files, more...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // apt's own configuration
		if err != nil {
			continue
		}
		switch filepath.Ext(file) {
		case ".list":
			sources = append(sources, parseOneLine(string(text))...)
		case ".sources":
			sources = append(sources, parseDeb822(string(text))...)
		}
	}
	return slices.DeleteFunc(sources, func(s aptSource) bool { return !slices.Contains(s.components, "main") })
}

var oneLine = regexp.MustCompile(`^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$`)

// parseOneLine reads the form `deb [signed-by=…] URI SUITE COMPONENT…`.
func parseOneLine(text string) []aptSource {
	var sources []aptSource
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		part := oneLine.FindStringSubmatch(strings.TrimSpace(line))
		if part == nil || strings.HasPrefix(part[2], "cdrom:") {
			continue
		}
		source := aptSource{uris: []string{part[2]}, suites: []string{part[3]}, components: strings.Fields(part[4])}
		for _, option := range strings.Fields(part[1]) {
			switch name, value, _ := strings.Cut(option, "="); strings.ToLower(name) {
			case "signed-by":
				source.signedBy = strings.ReplaceAll(value, ",", " ")
			case "trusted":
				source.trusted = value
			}
		}
		sources = append(sources, source)
	}
	return sources
}

// parseDeb822 reads the paragraphs of a .sources file.
func parseDeb822(text string) []aptSource {
	var sources []aptSource
	fields := map[string]string{}
	last := ""
	flush := func() {
		if slices.Contains(strings.Fields(fields["types"]), "deb") && strings.TrimSpace(fields["enabled"]) != "no" {
			sources = append(sources, aptSource{
				uris: strings.Fields(fields["uris"]), suites: strings.Fields(fields["suites"]),
				components: strings.Fields(fields["components"]),
				signedBy:   fields["signed-by"], trusted: strings.TrimSpace(fields["trusted"]),
			})
		}
		fields, last = map[string]string{}, ""
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			fields[last] += "\n" + line
		default:
			name, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(strings.TrimSpace(name))
			fields[last] = strings.TrimSpace(value)
		}
	}
	flush()
	return sources
}

// paragraph writes the entry as deb822.
func (s aptSource) paragraph(types string) string {
	var b strings.Builder
	b.WriteString("Types: " + types + "\nURIs: " + strings.Join(s.uris, " ") + "\nSuites: " + strings.Join(s.suites, " ") +
		"\nComponents: " + strings.Join(s.components, " ") + "\n")
	if s.signedBy != "" {
		b.WriteString("Signed-By: " + s.signedBy + "\n")
	}
	if s.trusted != "" {
		b.WriteString("Trusted: " + s.trusted + "\n")
	}
	return b.String() + "\n"
}

// sourcePackagesOf gives the places that may serve the source packages of a Debian suite: the archives of
// the machine, asked for that suite. Archives of updates and security fixes alone hold no such suite.
func sourcePackagesOf(sources []aptSource, suite string) []aptSource {
	var places []aptSource
	for _, s := range sources {
		whole := slices.ContainsFunc(s.suites, func(name string) bool { return !strings.ContainsAny(name, "-/") })
		if !whole {
			continue
		}
		for _, uri := range s.uris {
			places = append(places, aptSource{
				uris: []string{uri}, suites: []string{suite}, components: []string{"main"}, signedBy: s.signedBy, trusted: s.trusted,
			})
		}
	}
	return places
}
