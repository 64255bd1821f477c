package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

type downloadThing struct {
	How string `query:"how"`
}

// downloading serves files that end in every way; wrote is told of lines written.
func downloading(t *testing.T, wrote chan<- error) *rig {
	t.Helper()
	return start(t, []Route{Download("GET", "/v1/file", auth.RunRead, meta("getFile"), func(_ context.Context, in *downloadThing) (File, error) {
		if in.How == "refused" {
			return File{}, fault.New(fault.Conflict, "No file.")
		}
		return File{Name: "a.txt", ContentType: "text/plain", Write: func(ctx context.Context, w io.Writer) error {
			for n := 0; ; n++ {
				switch {
				case in.How == "whole" && n == 50_000:
					return nil
				case in.How == "fails" && n == 5000:
					return errors.New("the database is gone")
				case in.How == "panics" && n == 5000:
					panic("a defect")
				case ctx.Err() != nil:
					wrote <- context.Cause(ctx)
					return ctx.Err()
				}
				if _, err := io.WriteString(w, "a line of a file\n"); err != nil {
					wrote <- err
					return err
				}
			}
		}}, nil
	})})
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	wrote := make(chan error, 1)
	r := downloading(t, wrote)
	get := func(path string) request { return request{method: "GET", path: path, role: auth.RoleViewer} }
	a := r.do(t, get("/v1/file?how=whole"))
	if a.status != 200 || strings.Count(a.body, "a line of a file\n") != 50_000 || a.header.Get("Content-Type") != "text/plain" ||
		a.header.Get("Content-Disposition") != `attachment; filename="a.txt"` || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("answered with %d %v and %d bytes", a.status, a.header, len(a.body))
	}
	r.do(t, get("/v1/file?how=refused")).problem(t, fault.Conflict)
	r.do(t, get("/v1/file?who=x")).problem(t, fault.Malformed)
	r.do(t, request{method: "GET", path: "/v1/file?how=whole"}).problem(t, fault.Unauthenticated)
	if a := r.do(t, request{method: "HEAD", path: "/v1/file?how=whole", role: auth.RoleViewer}); a.status != 200 || a.body != "" {
		t.Errorf("HEAD is answered with %d and %d bytes", a.status, len(a.body))
	}
	// Half a file must not look like a whole one.
	for how, logged := range map[string]string{"fails": "the database is gone", "panics": "a defect"} {
		resp := r.open(t, "/v1/file?how="+how, nil)
		if n, err := io.Copy(io.Discard, resp.Body); err == nil || n == 0 {
			t.Errorf("%s: %d bytes and a clean end", how, n)
		}
		_ = resp.Body.Close()
		eventually(t, func() bool { return strings.Contains(r.logged.String(), logged) })
	}
	// A client that goes away ends the writing.
	resp := r.open(t, "/v1/file?how=endless", nil)
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if err := <-wrote; err == nil {
		t.Error("the writing ended well")
	}
}

func TestAShutdownBreaksDownloadsOff(t *testing.T) {
	t.Parallel()
	wrote := make(chan error, 1)
	r := downloading(t, wrote)
	resp := r.open(t, "/v1/file?how=endless", nil)
	body := bufio.NewReader(resp.Body)
	if _, err := body.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		stopped <- r.Shutdown(ctx)
	}()
	if _, err := io.Copy(io.Discard, body); err == nil {
		t.Error("the file ends as if it were whole")
	}
	_ = resp.Body.Close()
	if err := <-wrote; err == nil {
		t.Error("the writing ended well")
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, yes func() bool) {
	t.Helper()
	deadline, tick := time.After(5*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-deadline:
			t.Fatal("not within five seconds")
		case <-tick.C:
		}
	}
}
