package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"path"
	"strings"

	"github.com/swaggest/swgui/v5/static"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

const (
	specPath = "/v1/openapi.json"
	docsPath = "/docs"

	docsIndex = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lari API</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`
	docsStart = `SwaggerUIBundle({url: "/v1/openapi.json", dom_id: "#docs", deepLinking: true, persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout"})
`
	// The page takes a token from its reader, so nothing but its own files may run in it.
	docsPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

// docsRoutes serve the description, a page that makes it readable (Swagger UI, embedded) and a page per
// problem code. They are not themselves part of the description.
func docsRoutes(spec []byte) ([]Route, error) {
	assets, err := readAssets()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(spec)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	page := map[string]string{"Content-Security-Policy": docsPolicy, "Cache-Control": "public, max-age=300"}
	routes := []Route{
		Handle("GET", specPath, auth.Public, docsMeta("getDescription"),
			func(_ context.Context, in *conditional) (Raw, error) {
				h := map[string]string{"ETag": etag, "Cache-Control": "no-cache"}
				if in.matches(etag) {
					return Raw{Status: 304, Header: h}, nil
				}
				return Raw{ContentType: jsonType, Header: h, Body: spec}, nil
			}),
		Handle("GET", "/", auth.Public, docsMeta("getRoot"), func(context.Context, *None) (Raw, error) {
			return Raw{Status: 302, Header: map[string]string{"Location": docsPath}}, nil
		}),
		Handle("GET", docsPath, auth.Public, docsMeta("getDocs"), func(context.Context, *None) (Raw, error) {
			return Raw{ContentType: "text/html; charset=utf-8", Header: page, Body: []byte(docsIndex)}, nil
		}),
		Handle("GET", docsPath+"/{file}", auth.Public, docsMeta("getDocsFile"),
			func(_ context.Context, in *docsFile) (Raw, error) { return in.serve(assets) }),
		Handle("GET", "/problems/{code}", auth.Public, docsMeta("getProblem"),
			func(_ context.Context, in *problemPage) (problemView, error) { return in.show() }),
	}
	for i := range routes {
		routes[i].hidden = true
	}
	return routes, nil
}

func docsMeta(id string) Meta { return Meta{ID: id, Tag: "docs", Summary: "Documentation"} }

type conditional struct {
	IfNoneMatch string `header:"If-None-Match"`
}

// matches compares weakly, as RFC 9110 §13.1.2 wants it.
func (c conditional) matches(etag string) bool {
	for tag := range strings.SplitSeq(c.IfNoneMatch, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}

type asset struct {
	media      string
	plain, zip []byte // zip is nil for what does not shrink
}

// readAssets keeps both forms of what the library embeds compressed: not every client takes gzip.
func readAssets() (map[string]asset, error) {
	assets := map[string]asset{"start.js": {media: "text/javascript; charset=utf-8", plain: []byte(docsStart)}}
	err := fs.WalkDir(static.FS, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := static.FS.ReadFile(file)
		if err != nil {
			return err
		}
		name, zipped := strings.CutSuffix(file, ".gz")
		a := asset{media: mediaOf(name), plain: data}
		if zipped {
			a.zip = data
			if a.plain, err = unzip(data); err != nil {
				return err
			}
		}
		assets[name] = a
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the files of the documentation: %w", err)
	}
	return assets, nil
}

func mediaOf(name string) string {
	if strings.HasSuffix(name, ".js") { // what the operating system calls it differs
		return "text/javascript; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
}

func unzip(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

type docsFile struct {
	File           string `path:"file"`
	AcceptEncoding string `header:"Accept-Encoding"`
}

func (f docsFile) serve(assets map[string]asset) (Raw, error) {
	a, ok := assets[f.File]
	if !ok {
		return Raw{}, fault.New(fault.NotFound, "The documentation has no such file.")
	}
	h := map[string]string{"Cache-Control": "public, max-age=3600", "Vary": "Accept-Encoding"}
	if a.zip != nil && strings.Contains(f.AcceptEncoding, "gzip") {
		h["Content-Encoding"] = "gzip"
		return Raw{ContentType: a.media, Header: h, Body: a.zip}, nil
	}
	return Raw{ContentType: a.media, Header: h, Body: a.plain}, nil
}

type problemPage struct {
	Code fault.Code `path:"code"`
}

type problemView struct {
	Code   fault.Code `json:"code"`
	Status int        `json:"status"`
	Title  string     `json:"title"`
	Retry  bool       `json:"retry_after"` // the answer says when to try again
}

func (p problemPage) show() (problemView, error) {
	t, known := translate(p.Code)
	if !known {
		return problemView{}, fault.New(fault.NotFound, "There is no such problem.")
	}
	return problemView{Code: p.Code, Status: t.status, Title: t.title, Retry: t.retry}, nil
}
