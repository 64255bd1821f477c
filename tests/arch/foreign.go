package arch

import (
	"path"
	"strings"
)

// foreign is a library, or a part of the standard one, that only some places may know.
type foreign struct {
	path    string // of a package, or with a slash at the end of all below it
	reason  string
	allowed func(*file) bool
}

func (x foreign) matches(imported string) bool {
	return imported == x.path || strings.HasSuffix(x.path, "/") && strings.HasPrefix(imported, x.path)
}

// foreigners lists them. Tests may use what they need.
func foreigners() []foreign {
	return []foreign{
		{"go.temporal.io/", "Temporal is known to workflows, activities, worker, the engine and the parts of the platform that connect it", in(
			"workflows", "activities", "worker", "internal/engine", "internal/app", "internal/platform/temporal",
			"internal/platform/telemetry", devstack, "cmd",
		)},
		{"github.com/gofiber/", "Fiber is known to api only", in("api")},
		{"github.com/valyala/", "fasthttp is known to api only", in("api")},
		{"github.com/jackc/", "pgx is known to the platform's postgres and to a domain's store files", func(f *file) bool {
			return in("internal/platform/postgres", devstack)(f) || f.path == "internal/platform/telemetry/pool.go" || storeFile(f)
		}},
		{"database/sql", "statements go through internal/platform/postgres, which sets role and tenant", in()},
		{"net/http", "a domain and a workflow know nothing of HTTP", func(f *file) bool {
			where := layerOf(f.dir)
			return where != events && where != workflows && where != domain || f.within("internal/tools") // whose http_get is a client
		}},
	}
}

func in(dirs ...string) func(*file) bool {
	return func(f *file) bool {
		for _, dir := range dirs {
			if f.within(dir) {
				return true
			}
		}
		return false
	}
}

// storeFile reports whether the file is one of those in which a domain keeps its SQL.
func storeFile(f *file) bool {
	base := strings.TrimSuffix(path.Base(f.path), ".go")
	return layerOf(f.dir) == domain && (base == "store" || strings.HasPrefix(base, "store_"))
}

// checkForeign keeps libraries where they belong.
func checkForeign(t *tree, _ Law, r *report) {
	for _, f := range t.files {
		if f.forTests() {
			continue
		}
		for name, spec := range f.imports() {
			for _, x := range foreigners() {
				if x.matches(name) && !x.allowed(f) {
					r.at(spec.Pos(), "%s", x.reason)
				}
			}
		}
	}
}
