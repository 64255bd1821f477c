package arch

import (
	"slices"
	"strings"
)

// layer is a place in the order of imports.
type layer string

const (
	platform   layer = "platform"
	events     layer = "event"
	domain     layer = "domain"
	connectors layer = "connectors"
	activities layer = "activities"
	workflows  layer = "workflows"
	engine     layer = "engine"
	worker     layer = "worker"
	api        layer = "api"
	web        layer = "web"
	deploy     layer = "deploy"
	app        layer = "app"
	command    layer = "cmd"
	tests      layer = "tests"
	nowhere    layer = ""
)

// directions says what each layer may import, beside its own (a domain: beside itself). Tests may in
// addition use the support packages of tests and the schema in deploy.
var directions = map[layer][]layer{
	platform:   {},
	events:     {platform},
	domain:     {platform, events},
	connectors: {platform, events},
	activities: {platform, events, domain, connectors},
	workflows:  {platform, events, domain, connectors, activities},
	engine:     {platform, events, domain, connectors, activities, workflows},
	worker:     {platform, events, domain, connectors, activities, workflows, engine},
	api:        {platform, events, domain, web},
	web:        {},
	deploy:     {},
	app:        {platform, events, domain, connectors, activities, workflows, engine, worker, api, web, deploy},
	command:    {platform, events, domain, connectors, activities, workflows, engine, worker, api, web, deploy, app},
	tests:      {platform, events, domain, connectors, activities, workflows, engine, worker, api, web, deploy, app},
}

// layerOf gives the layer of a folder of the tree. Every folder of internal that is not named here is a
// domain: a new one is covered on the day it is made.
func layerOf(dir string) layer {
	head, rest, _ := strings.Cut(dir, "/")
	switch head {
	case "connectors", "activities", "workflows", "worker", "api", "web", "deploy", "cmd", "tests":
		return layer(head)
	case "internal":
	default:
		return nowhere
	}
	word, _, _ := strings.Cut(rest, "/")
	switch word {
	case "":
		return nowhere
	case "platform", "event", "engine", "app":
		return layer(word)
	}
	return domain
}

// domainOf gives the folder of the domain that a folder belongs to.
func domainOf(dir string) string {
	parts := strings.SplitN(dir, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// checkImports enforces the direction of imports.
func checkImports(t *tree, _ Law, r *report) {
	for _, f := range t.files {
		from := layerOf(f.dir)
		if from == nowhere {
			r.at(f.syntax.Package, "the folder %q has no place in the order of imports", f.dir)
			continue
		}
		for name, spec := range f.imports() {
			target, ours := strings.CutPrefix(name, t.module+"/")
			if !ours {
				continue
			}
			to := layerOf(target)
			switch {
			case to == nowhere:
				r.at(spec.Pos(), "%s has no place in the order of imports", target)
			case supportPackage(target) && !f.forTests():
				r.at(spec.Pos(), "%s is for tests only", target)
			case target == devstack && !f.forTests() && from != app && from != command && f.dir != devstack:
				r.at(spec.Pos(), "only the development command and tests start their own Postgres and Temporal")
			case from == domain && to == domain && domainOf(f.dir) != domainOf(target):
				r.at(spec.Pos(), "a domain imports no other domain: declare a port, and join it in internal/app")
			case from == to, slices.Contains(directions[from], to), f.forTests() && (to == tests || to == deploy):
			default:
				r.at(spec.Pos(), "%s imports no %s", from, to)
			}
		}
	}
}

const devstack = "internal/platform/devstack"
