package rules

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/larirun/lari/tests/harness"
)

// prometheus is a running server, with a folder of its own.
type prometheus struct {
	name, url string
}

// freeAddress is one that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// output is what a process said, for the case that the test fails.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// serve starts a server on a configuration of the deployment, in which the texts are replaced: each must be there.
func serve(t *testing.T, name, config, token string, replace map[string]string, flags ...string) *prometheus {
	t.Helper()
	dir := copied(t)
	for _, file := range relative(files(t, "rules/*.yml")) { // the rules as they are, evaluated each second
		text := strings.NewReplacer("interval: 30s", "interval: 1s", "interval: 1m", "interval: 1s").Replace(read(t, filepath.Join(dir, file)))
		write(t, filepath.Join(dir, file), text)
	}
	text := read(t, filepath.Join(dir, config))
	for before, after := range replace {
		if !strings.Contains(text, before) {
			t.Fatalf("%s has no %s", config, before)
		}
		text = strings.ReplaceAll(text, before, after)
	}
	write(t, filepath.Join(dir, config), text)
	write(t, filepath.Join(dir, "lari-token"), token)
	p := &prometheus{name: name}
	address := freeAddress(t)
	p.url = "http://" + address
	var said output
	args := append([]string{
		"--config.file=" + filepath.Join(dir, config), "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address, "--log.level=warn",
	}, flags...)
	cmd := exec.Command(programs(t).Server, args...) //nolint:gosec // it is ended below
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("prometheus (%s) said:\n%s", name, said.String())
		}
	})
	harness.Eventually(t, 20*time.Second, "Prometheus is ready", func() bool {
		select {
		case <-exited:
			t.Fatalf("prometheus ended: %s", said.String())
		default:
		}
		status, _, err := get(t.Context(), p.url+"/-/ready")
		return err == nil && status == http.StatusOK
	})
	return p
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func get(ctx context.Context, address string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// api asks the server's HTTP API and decodes what it answers as data.
func (p *prometheus) api(t *testing.T, path string, data any) {
	t.Helper()
	status, body, err := get(t.Context(), p.url+"/api/v1/"+path)
	if err != nil {
		t.Fatal(err)
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK || answer.Status != "success" {
		t.Fatalf("%s of %s: status %d, %v: %s", path, p.name, status, err, body)
	}
}

// sample is a series and its value.
type sample struct {
	labels map[string]string
	value  float64
}

// query gives what an expression is now.
func (p *prometheus) query(t *testing.T, expression string) []sample {
	t.Helper()
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	p.api(t, "query?query="+url.QueryEscape(expression), &data)
	all := make([]sample, 0, len(data.Result))
	for _, r := range data.Result {
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("%s gives %v", expression, r.Value)
		}
		all = append(all, sample{r.Metric, value})
	}
	return all
}

// number gives what an expression is now, if that is one series; expressions are written as fmt does.
func (p *prometheus) number(t *testing.T, expression string, args ...any) (float64, bool) {
	t.Helper()
	all := p.query(t, fmt.Sprintf(expression, args...))
	if len(all) != 1 {
		return 0, false
	}
	return all[0].value, true
}

// must is number where there has to be one, sooner or later: a scrape that took too long leaves a gap.
func (p *prometheus) must(t *testing.T, expression string, args ...any) (v float64) {
	t.Helper()
	harness.Eventually(t, within, p.name+" knows "+fmt.Sprintf(expression, args...), func() (ok bool) {
		v, ok = p.number(t, expression, args...)
		return ok
	})
	return v
}

// rule is a rule as the server knows it.
type rule struct {
	Name, Type, Health, LastError, State, LastEvaluation string
}

func (p *prometheus) rules(t *testing.T) (all []rule) {
	t.Helper()
	var data struct{ Groups []struct{ Rules []rule } }
	p.api(t, "rules", &data)
	for _, g := range data.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// firing gives the names of the alerts that fire.
func (p *prometheus) firing(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, r := range p.rules(t) {
		if r.State == "firing" {
			names[r.Name] = true
		}
	}
	return names
}

// targets gives the health of each target by its address.
func (p *prometheus) targets(t *testing.T) map[string]string {
	t.Helper()
	var data struct {
		ActiveTargets []struct{ ScrapeURL, Health, LastError string }
	}
	p.api(t, "targets", &data)
	found := map[string]string{}
	for _, x := range data.ActiveTargets {
		found[x.ScrapeURL] = strings.TrimSpace(x.Health + " " + x.LastError)
	}
	return found
}
