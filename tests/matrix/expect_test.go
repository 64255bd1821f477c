package matrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/larirun/lari/api"
	"github.com/larirun/lari/internal/platform/auth"
)

// form is how a caller proves who it is, and which tenant it speaks of.
type form string

// The forms. All but the last seven are tokens.
const (
	goodToken     form = "token"                          // names its own tenant
	noCredential  form = "no credential"                  //nolint:gosec // G101: it is none
	expiredToken  form = "expired token"                  //
	forgedToken   form = "token signed by somebody else"  //
	unsignedToken form = "token with alg none"            //nolint:gosec // G101: it is none
	alteredToken  form = "token whose payload was raised" // to owner, under its old signature
	foreignHeader form = "x-tenant-id of another tenant"  //
	brokenHeader  form = "x-tenant-id that is no id"      //
	otherTenant   form = "another tenant's ids"           // a good token; the path names the first tenant's things

	keyOfRole  form = "key"                                 //
	narrowKey  form = "key with every scope but one needed" //
	exactKey   form = "key with the scopes needed only"     //
	foreignKey form = "key, x-tenant-id of another tenant"  //
	otherKey   form = "key, another tenant's ids"           //
	revokedKey form = "revoked key"                         //
	expiredKey form = "expired key"                         //
)

func forms() []form {
	return []form{
		goodToken, noCredential, expiredToken, forgedToken, unsignedToken, alteredToken, foreignHeader, brokenHeader, otherTenant,
		keyOfRole, narrowKey, exactKey, foreignKey, otherKey, revokedKey, expiredKey,
	}
}

// nobody is the role of a user who belongs to no tenant.
const nobody auth.Role = ""

func roles() []auth.Role { return append([]auth.Role{nobody}, auth.Roles()...) }

func (f form) key() bool {
	return slices.Contains([]form{keyOfRole, narrowKey, exactKey, foreignKey, otherKey, revokedKey, expiredKey}, f)
}

// holds reports whether the credential is one at all.
func (f form) holds() bool {
	return !slices.Contains([]form{noCredential, expiredToken, forgedToken, unsignedToken, alteredToken, revokedKey, expiredKey}, f)
}

// names reports whether the request's header speaks of a tenant that the path's things do not belong to.
func (f form) namesAnother() bool { return f == foreignHeader || f == foreignKey }

// foreign reports whether the caller belongs to another tenant than the path's things.
func (f form) foreign() bool { return f == otherTenant || f == otherKey }

// cell is one request of the matrix.
type cell struct {
	route api.Entry
	role  auth.Role
	form  form
	lacks auth.Permission // of narrowKey: which of the permissions that the route needs
}

// cells lists the requests that can be made of a route.
func cells(route api.Entry) (all []cell) {
	for _, role := range roles() {
		for _, f := range forms() {
			if f != narrowKey {
				all = append(all, cell{route, role, f, ""})
				continue
			}
			for _, p := range route.Permissions() {
				all = append(all, cell{route, role, f, p})
			}
		}
	}
	return slices.DeleteFunc(all, func(c cell) bool { return !c.exists() })
}

// grants reports whether the role grants all of the permissions; Public needs none.
func grants(role auth.Role, needed []auth.Permission) bool {
	return !slices.ContainsFunc(needed, func(p auth.Permission) bool { return p != auth.Public && !role.Can(p) })
}

// name is the permissions as one text.
func name(permissions []auth.Permission) string { return fmt.Sprint(permissions) }

// exists tells cells that can be from those that cannot: only members of a tenant have keys, and no key has
// a scope that its role does not grant.
func (c cell) exists() bool {
	switch {
	case !c.form.key():
		return true
	case !c.role.OfTenant():
		return false
	case c.form == exactKey:
		return c.route.Permission != auth.Public && grants(c.role, c.route.Permissions())
	}
	return true
}

// named reports whether the path itself says which tenant is acted in.
func (c cell) named() bool { return strings.Contains(c.route.Path, "{tenant_id}") }

// verdict is the status of a refusal, or that there is none.
type verdict int

const permitted verdict = 0

// expect is the rule of who may do what (DESIGN.md §5), and the only place where this test knows it.
func expect(c cell) verdict {
	switch {
	case c.route.Permission == auth.Public:
		return permitted
	case !c.form.holds():
		return 401
	case c.form == brokenHeader:
		return 400
	case c.form.namesAnother() && c.role != auth.RoleService:
		return 403 // it is no member of the tenant in the header
	case c.form.namesAnother() && c.named():
		return 404 // the platform is, but path and header disagree
	case c.named() && (c.role == nobody || c.form.foreign()):
		return 404 // to those who do not belong to it the tenant does not exist
	case c.role == nobody, !grants(c.role, c.route.Permissions()), c.form == narrowKey:
		return 403
	case c.form.foreign() && strings.Contains(c.route.Path, "{"):
		return 404 // existence is not revealed
	}
	return permitted
}
