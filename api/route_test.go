package api

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/auth"
)

// TestTable refuses to start over a route that would surprise somebody later.
func TestTable(t *testing.T) {
	t.Parallel()
	good := func() Route {
		return Handle("GET", "/v1/x/{id}", auth.RunRead, meta("getX"), func(context.Context, *struct {
			ID string `path:"id"`
		},
		) (None, error) {
			return None{}, nil
		})
	}
	bad := func(change func(*Route)) []Route {
		r := good()
		change(&r)
		return []Route{r}
	}
	for name, c := range map[string]struct {
		routes []Route
		say    string
	}{
		"no permission":       {bad(func(r *Route) { r.Permission = "" }), "auth.Public"},
		"invented permission": {bad(func(r *Route) { r.Permission = "run:destroy" }), "not a permission"},
		"no id":               {bad(func(r *Route) { r.Meta.ID = "" }), "operation id"},
		"no summary":          {bad(func(r *Route) { r.Meta.Summary = "" }), "summary"},
		"odd method":          {bad(func(r *Route) { r.Method = "get" }), "method"},
		"odd path":            {bad(func(r *Route) { r.Path = "/v1/x/:id" }), "path"},
		"path without field":  {bad(func(r *Route) { r.Path = "/v1/x/{id}/{other}" }), "the path names"},
		"field without path":  {bad(func(r *Route) { r.Path = "/v1/x" }), "the path names"},
		"public and creates":  {bad(func(r *Route) { r.Method, r.Permission, r.Meta.Creates = "POST", auth.Public, true }), "tenant"},
		"GET that creates":    {bad(func(r *Route) { r.Meta.Creates = true }), "only a POST"},
		"creates, no keys":    {bad(func(r *Route) { r.Method, r.Meta.Creates = "POST", true }), "idempotency"},
		"a literal":           {[]Route{{Method: "GET", Path: "/v1/x", Permission: auth.RunRead}}, "not made by"},
		"same id":             {append(bad(func(r *Route) { r.Method = "PUT" }), good()), "share"},
		"same path":           {append(bad(func(r *Route) { r.Meta.ID = "getY" }), good()), "same requests"},
		"other placeholder": {append(bad(func(r *Route) {
			*r = Handle("PUT", "/v1/x/{name}", auth.RunRead, meta("putX"), func(context.Context, *struct {
				Name string `path:"name"`
			},
			) (None, error) {
				return None{}, nil
			})
		}), good()), "names of their parameters"},
		"field without tag": {[]Route{Handle("GET", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *struct{ X string }) (None, error) {
			return None{}, nil
		})}, "none of the tags"},
		"field of two kinds": {[]Route{Handle("GET", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *struct {
			X string `json:"x" query:"x"`
		},
		) (None, error) {
			return None{}, nil
		})}, "two of the tags"},
		"channel": {[]Route{Handle("POST", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *struct {
			X chan int `json:"x"`
		},
		) (None, error) {
			return None{}, nil
		})}, "cannot stand"},
		"struct in the query": {[]Route{Handle("GET", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *struct {
			X struct{} `query:"x"`
		},
		) (None, error) {
			return None{}, nil
		})}, "cannot be a parameter"},
		"default that does not fit": {[]Route{Handle("GET", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *struct {
			X int `query:"x" default:"many"`
		},
		) (None, error) {
			return None{}, nil
		})}, "default"},
		"unknown rule": {[]Route{Handle("GET", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *struct {
			X int `query:"x" validate:"positive"`
		},
		) (None, error) {
			return None{}, nil
		})}, "validate tags"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(Deps{Auth: newAuth(t), Log: slog.New(slog.DiscardHandler)}, c.routes)
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("error %v, want it to say %q", err, c.say)
			}
		})
	}
	if _, err := New(Deps{Auth: newAuth(t), Log: slog.New(slog.DiscardHandler)}, []Route{good()}); err != nil {
		t.Error(err)
	}
}

// TestNoRouteWithoutAPermission takes the permission away from each route of the real table in turn.
func TestNoRouteWithoutAPermission(t *testing.T) {
	t.Parallel()
	for i := range withHealth(allRoutes()) {
		for _, p := range []auth.Permission{"", "run", "run:destroy", "*"} {
			routes := withHealth(allRoutes())
			routes[i].Permission = p
			if _, err := New(Deps{Auth: &auth.Authenticator{}, Log: slog.New(slog.DiscardHandler)}, routes); err == nil || !strings.Contains(err.Error(), "auth.Public") {
				t.Errorf("%s with the permission %q: %v", routes[i].name(), p, err)
			}
		}
	}
}
