package api

import (
	"context"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

type guardedInner struct {
	Hook string `json:"hook" permission:"run:read"`
}

type guardedInput struct {
	guardedInner
	Mode  string        `json:"mode" permission:"run:update" permission_if:"stop drop"`
	Inner *guardedInner `json:"inner"`
	Count *int          `json:"count" permission:"run:read"`
	Plain string        `json:"plain"`
}

func TestGuards_AskForThePermissionOfAFieldThatIsFilled(t *testing.T) {
	t.Parallel()
	p, err := planOf(reflect.TypeFor[guardedInput]())
	if err != nil || len(p.guards) != 4 {
		t.Fatalf("%d guards, %v", len(p.guards), err)
	}
	tenant, zero := uuid.New(), 0
	for name, c := range map[string]struct {
		in    guardedInput
		needs auth.Permission // "": none
		say   string
	}{
		"nothing":              {guardedInput{}, "", ""},
		"another field":        {guardedInput{Plain: "x"}, "", ""},
		"a field of a part":    {guardedInput{guardedInner: guardedInner{"x"}}, auth.RunRead, "hook"},
		"a field further in":   {guardedInput{Inner: &guardedInner{"x"}}, auth.RunRead, "inner.hook"},
		"an empty part":        {guardedInput{Inner: &guardedInner{}}, "", ""},
		"a zero that is given": {guardedInput{Count: &zero}, "", ""},
		"a value in the list":  {guardedInput{Mode: "drop"}, auth.RunUpdate, "mode"},
		"a value not in it":    {guardedInput{Mode: "wait"}, "", ""},
	} {
		holder := func(scopes ...auth.Permission) *auth.Principal {
			return &auth.Principal{Tenants: map[uuid.UUID]auth.Role{tenant: auth.RoleOwner}, Scopes: scopes}
		}
		err := p.checkGuards(holder(auth.RunCreate), tenant, &c.in)
		if (c.needs != "") != fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !(strings.Contains(err.Error(), string(c.needs)) && strings.Contains(err.Error(), c.say)) {
			t.Errorf("%s: %v does not name %s and %s", name, err, c.say, c.needs)
		}
		if err := p.checkGuards(holder(auth.RunCreate, c.needs), tenant, &c.in); err != nil {
			t.Errorf("%s, with %q: %v", name, c.needs, err)
		}
		if err := p.checkGuards(nil, tenant, &c.in); (c.needs != "") != fault.Is(err, fault.Forbidden) {
			t.Errorf("%s, by nobody: %v", name, err)
		}
	}
}

func TestTable_RefusesPermissionsThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	needing := func(p auth.Permission, anywhere bool, needs ...auth.Permission) Route {
		m := meta("getX")
		m.Needs, m.Anywhere = needs, anywhere
		return Handle("GET", "/v1/x", p, m, func(context.Context, *None) (None, error) { return None{}, nil })
	}
	for name, c := range map[string]struct {
		route Route
		say   string
	}{
		"a second permission that is none":   {needing(auth.RunRead, false, "run:destroy"), "permissions"},
		"a second permission that is public": {needing(auth.RunRead, false, auth.Public), "permissions"},
		"the same permission twice":          {needing(auth.RunRead, false, auth.RunRead), "permissions"},
		"a public route that needs one":      {needing(auth.Public, false, auth.RunRead), "public"},
		"two permissions anywhere":           {needing(auth.TenantRead, true, auth.RunRead), "anywhere"},
		"a field with an invented permission": {Handle("POST", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *struct {
			X string `json:"x" permission:"run:destroy"`
		},
		) (None, error) {
			return None{}, nil
		}), "not a permission"},
		"a parameter with a permission": {Handle("GET", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *struct {
			X string `query:"x" permission:"run:read"`
		},
		) (None, error) {
			return None{}, nil
		}), "field of the body"},
		"an item of a list with a permission": {Handle("POST", "/v1/x", auth.RunRead, meta("x"), func(context.Context, *struct {
			X []guardedInner `json:"x"`
		},
		) (None, error) {
			return None{}, nil
		}), "item of a list"},
	} {
		if _, err := New(Deps{Auth: newAuth(t), Log: slog.New(slog.DiscardHandler)}, []Route{c.route}); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.say)
		}
	}
}
