package app

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// version is set by the linker in releases.
var version = ""

// Build describes how this program was built.
type Build struct {
	Version  string `json:"version"`          // the release, else "dev-" and the commit, else "dev"
	Commit   string `json:"commit,omitempty"` // of the source, 40 hex digits
	Date     string `json:"date,omitempty"`   // of the commit, RFC 3339
	Modified bool   `json:"modified"`         // whether the source had changes that no commit holds
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// ReadBuild returns what the linker and the Go toolchain recorded.
func ReadBuild() Build {
	b := Build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Date = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if b.Version == "" {
		b.Version = "dev"
		if len(b.Commit) >= 12 {
			b.Version += "-" + b.Commit[:12]
		}
	}
	return b
}

// String returns the build on one line: lari VERSION (commit C, DATE, modified; GO PLATFORM).
func (b Build) String() string {
	var source []string
	if b.Commit != "" {
		source = append(source, "commit "+b.Commit)
	}
	if b.Date != "" {
		source = append(source, b.Date)
	}
	if b.Modified {
		source = append(source, "modified")
	}
	source = append(source, b.Go+" "+b.Platform)
	return "lari " + b.Version + " (" + strings.Join(source, ", ") + ")"
}

// Version returns the version of this program: the release, else the commit that it was built from.
func Version() string { return ReadBuild().Version }
