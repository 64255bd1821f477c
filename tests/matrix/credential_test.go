package matrix

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/tests/harness"
)

// wallet holds one credential of each kind for the members of one tenant.
type wallet struct {
	tenant uuid.UUID
	tokens map[form]map[auth.Role]string
	keys   map[form]map[auth.Role]map[string]string // by permissions where the scopes depend on them, see name
}

func claims(tenant uuid.UUID, role auth.Role) jwt.MapClaims {
	c := jwt.MapClaims{
		"sub": "tester", "aud": "authenticated", "role": "authenticated", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"app_metadata": map[string]any{},
	}
	switch {
	case role == auth.RoleService:
		c["role"] = "service_role"
	case role != nobody:
		c["app_metadata"] = map[string]any{"tenant_id": tenant.String(), "role": string(role)}
	}
	return c
}

func newWallet(t *testing.T, s *harness.System, tenant uuid.UUID, sets [][]auth.Permission) wallet {
	t.Helper()
	w := wallet{tenant: tenant, tokens: map[form]map[auth.Role]string{}, keys: map[form]map[auth.Role]map[string]string{}}
	for _, f := range forms() {
		w.tokens[f], w.keys[f] = map[auth.Role]string{}, map[auth.Role]map[string]string{}
	}
	for _, role := range roles() {
		w.mint(t, role)
	}
	w.issue(t, s.Database.Conn(t), sets)
	return w
}

func (w wallet) mint(t *testing.T, role auth.Role) {
	t.Helper()
	secret := []byte(harness.Secret)
	good := authtest.SignHS256(t, secret, nil, claims(w.tenant, role))
	parts := strings.Split(good, ".")
	expired := claims(w.tenant, role)
	expired["exp"] = time.Now().Add(-time.Hour).Unix()
	longer := claims(w.tenant, auth.RoleOwner)
	longer["exp"] = time.Now().Add(2 * time.Hour).Unix()
	raised := authtest.SignHS256(t, []byte(strings.Repeat("x", 40)), nil, longer)
	for f, token := range map[form]string{
		goodToken: good, foreignHeader: good, brokenHeader: good, otherTenant: good, noCredential: "",
		expiredToken:  authtest.SignHS256(t, secret, nil, expired),
		forgedToken:   authtest.SignHS256(t, []byte(strings.Repeat("x", 40)), nil, claims(w.tenant, role)),
		unsignedToken: base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".",
		alteredToken:  parts[0] + "." + strings.Split(raised, ".")[1] + "." + parts[2],
	} {
		w.tokens[f][role] = token
	}
}

// issue writes keys as the service does: one that has expired, or is narrowed to nothing, could not be asked for.
func (w wallet) issue(t *testing.T, conn *pgx.Conn, sets [][]auth.Permission) {
	t.Helper()
	var batch pgx.Batch
	issue := func(role auth.Role, scopes []auth.Permission, expires, revoked *time.Time) string {
		plain, prefix, hash, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		batch.Queue(`insert into api_keys (id, tenant_id, name, prefix, hash, role, scopes, created_by, expires_at, revoked_at) values ($1, $2, 'matrix', $3, $4, $5, $6, 'test', $7, $8)`,
			uuid.New(), w.tenant, prefix, hash, role, scopes, expires, revoked)
		return plain
	}
	past := time.Now().Add(-time.Hour)
	for _, role := range roles() {
		if !role.OfTenant() {
			continue
		}
		whole := issue(role, nil, nil, nil)
		for _, f := range forms() {
			w.keys[f][role] = map[string]string{}
		}
		for f, key := range map[form]string{
			keyOfRole: whole, foreignKey: whole, otherKey: whole,
			revokedKey: issue(role, nil, nil, &past), expiredKey: issue(role, nil, &past, nil),
		} {
			w.keys[f][role][""] = key
		}
		for _, p := range auth.Permissions() {
			others := []auth.Permission{}
			for _, q := range role.Permissions() {
				if q != p {
					others = append(others, q)
				}
			}
			w.keys[narrowKey][role][string(p)] = issue(role, others, nil, nil)
		}
		for _, needed := range sets {
			if grants(role, needed) {
				w.keys[exactKey][role][name(needed)] = issue(role, needed, nil, nil)
			}
		}
	}
	if err := conn.SendBatch(t.Context(), &batch).Close(); err != nil {
		t.Fatalf("issue keys: %v", err)
	}
}

// present puts the cell's credential into headers. Keys travel in both headers that take them.
func (w wallet) present(c cell) []string {
	if !c.form.key() {
		if token := w.tokens[c.form][c.role]; token != "" {
			return []string{"Authorization", "Bearer " + token}
		}
		return nil
	}
	scopes := ""
	switch c.form { //nolint:exhaustive // the others have all scopes of their role
	case narrowKey:
		scopes = string(c.lacks)
	case exactKey:
		scopes = name(c.route.Permissions())
	}
	key := w.keys[c.form][c.role][scopes]
	if c.form == exactKey || c.form == expiredKey {
		return []string{"Authorization", "Bearer " + key}
	}
	return []string{"X-Api-Key", key}
}
