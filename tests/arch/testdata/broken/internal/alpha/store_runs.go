package alpha

import (
	"encoding/json"
	"strings"

	"github.com/jackc/pgx/v5"
)

const find = `select id from runs`

var _ pgx.Rows

var encoded, _ = json.Marshal("a\x00")       // want storable
var cleaned = strings.ToValidUTF8("a\xff", "") // want storable
