package storable_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/storable"
)

// FuzzJSON holds the door to the real Postgres: what CheckJSON takes and whatever JSON and Text return is kept as
// jsonb and text.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"expression":"1\u0000"}`, `{"expression":"1\ud83d"}`, `{"n":1e999999}`, `{"n":-1E-999999}`, `0e-999999`, `0e999999`, `1e400`, `5e-324`,
		`0.` + strings.Repeat("0", 17000), `1.` + strings.Repeat("0", 17000), `1` + strings.Repeat("0", 2000), `-0.0`, `1E+2`,
		`"\ud83d\ude00\ude00"`, `"\uD83D\u0041"`, `"\\u0000\\\u0000"`, `{"\u0000":{"\ud800":[]}}`, `{"a":1,"a":2}`, `{"":""}`,
		strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
		strings.Repeat("[", 100000), "[\"\xed\xa0\x80\xff\"]", "a\x00b", "\ufeff{}", "\"\x7f\u2028\ufffe\"", ` [ 1 , null ] `, `nul`, ``, `{"a":`,
	} {
		f.Add(seed)
	}
	conn := pgtest.New(f).Conn(f)
	var text, document string
	keep := func(t *testing.T, value, written string) {
		t.Helper()
		err := conn.QueryRow(context.Background(), `select $1::text, ($2::text)::jsonb::text`, value, written).Scan(&text, &document)
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			t.Fatalf("Postgres refuses %.200q or %.200q: %s %s", value, written, refused.Code, refused.Message)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, in string) {
		keep(t, storable.Text(in), string(storable.JSON([]byte(in))))
		if storable.CheckJSON([]byte(in)) != nil {
			return
		}
		if got := storable.JSON([]byte(in)); string(got) != in {
			t.Errorf("%q can be kept, but is changed to %q", in, got)
		}
		keep(t, "", in)
	})
}

// TestJSON_RandomDocumentsAreKept makes valid documents out of pieces that jsonb may refuse, most of which byte
// mutations do not find.
func TestJSON_RandomDocumentsAreKept(t *testing.T) {
	t.Parallel()
	const documents = 4000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 1))}
	var checked, repaired []string
	refused := 0
	for range documents {
		doc := g.value(0)
		if !json.Valid([]byte(doc)) {
			t.Fatalf("the generator made %q, which is not JSON", doc)
		}
		if storable.CheckJSON([]byte(doc)) == nil {
			checked = append(checked, doc)
		} else {
			refused++
		}
		repaired = append(repaired, string(storable.JSON([]byte(doc))))
	}
	if refused < documents/10 || len(checked) < documents/10 {
		t.Errorf("of %d documents %d were refused: the generator is one-sided", documents, refused)
	}
	conn := pgtest.New(t).Conn(t)
	for name, docs := range map[string][]string{"taken": checked, "repaired": repaired} {
		var kept int
		err := conn.QueryRow(t.Context(), `select count(d::jsonb::text) from unnest($1::text[]) as d`, docs).Scan(&kept)
		if err != nil || kept != len(docs) {
			t.Errorf("%s: %d of %d documents are kept, error %v", name, kept, len(docs), err)
		}
	}
}

type generator struct{ *rand.Rand }

func (g generator) pick(pieces ...string) string { return pieces[g.IntN(len(pieces))] }

func (g generator) value(depth int) string {
	kinds := 4
	if depth < 6 {
		kinds = 6
	}
	switch g.IntN(kinds) {
	case 0:
		return g.pick("null", "true", "false", "0")
	case 1:
		return g.number()
	case 2, 3:
		return g.text()
	case 4:
		items := make([]string, g.IntN(4))
		for i := range items {
			items[i] = g.value(depth + 1)
		}
		levels := g.pick("", "", "", strings.Repeat("[", 20+g.IntN(60)))
		return levels + "[" + strings.Join(items, g.pick(",", " ,\n\t")) + "]" + strings.Repeat("]", len(levels))
	default:
		items := make([]string, g.IntN(4))
		for i := range items {
			items[i] = g.text() + ":" + g.value(depth+1)
		}
		return "{" + strings.Join(items, ",") + "}"
	}
}

func (g generator) number() string {
	n := g.pick("", "-") + g.pick("0", "1", "9007199254740993", "12"+strings.Repeat("0", g.IntN(1200)))
	if g.IntN(2) == 0 {
		n += "." + g.pick("5", "0", strings.Repeat("0", g.IntN(20000))+"1", strings.Repeat("0", 1+g.IntN(20000)))
	}
	if g.IntN(2) == 0 {
		n += g.pick("e", "E") + g.pick("", "+", "-") + g.pick("0", "5", "300", "308", "309", "324", "400", "401", "16384", "131072", "999999", "99999999999999999999")
	}
	return n
}

func (g generator) text() string {
	var b strings.Builder
	for range g.IntN(6) {
		b.WriteString(g.pick("a", "é", "😀", `\n`, `\\`, `\"`, `\/`, `\u0000`, `\u0041`, `\uD83D`, `\ude00`, `\ud83d\ude00`, `\\u0000`, `\udbff\udfff`, "\uFFFE", "\u007f"))
	}
	return `"` + b.String() + `"`
}
