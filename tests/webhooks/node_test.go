package webhooks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

// nodeReceiver is a process of tests/webhooks/node.
type nodeReceiver struct {
	url  string
	says chan string // "verified run_completed", "refused …"
}

// without says why there is no Node receiver. It is no reason to fail on a machine where the rest of the
// project needs no Node; where CI is set, the machine owes one.
func without(t *testing.T, why string, detail []byte) {
	t.Helper()
	_, _ = os.Stderr.WriteString("NOT TESTED: that a Node receiver accepts our signatures: " + why + "\n")
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: %s", why, detail)
	}
	t.Skipf("%s: %s", why, detail)
}

// installed installs the receiver's packages, once for each lock file.
func installed(t *testing.T) (node string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		without(t, "there is no node on PATH", nil)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		without(t, "there is no npm on PATH", nil)
	}
	lock, err := os.ReadFile(filepath.Join("node", "package-lock.json"))
	must(t, err)
	stamp := filepath.Join("node", "node_modules", ".installed")
	if have, err := os.ReadFile(stamp); err == nil && bytes.Equal(have, lock) { //nolint:gosec // G304: a name of ours
		return node
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund") //nolint:gosec // G204: npm, as PATH has it
	cmd.Dir = "node"
	if out, err := cmd.CombinedOutput(); err != nil {
		without(t, "npm ci failed", out)
	}
	must(t, os.WriteFile(stamp, lock, 0o600)) //nolint:gosec // G703: a name of ours
	return node
}

func startNode(t *testing.T, node, secret string) *nodeReceiver {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), node, "receiver.mjs") //nolint:gosec // G204: node, as PATH has it
	cmd.Dir, cmd.Env, cmd.Stderr = "node", append(os.Environ(), "WEBHOOK_SECRET="+secret), os.Stderr
	input, err := cmd.StdinPipe()
	must(t, err)
	output, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	r := &nodeReceiver{says: make(chan string, 64)}
	address := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		r.listen(output, address)
	}()
	t.Cleanup(func() {
		_ = input.Close()
		<-read
		_ = cmd.Wait()
	})
	select {
	case r.url = <-address:
	case <-time.After(within):
		t.Fatal("the Node receiver did not start")
	}
	return r
}

func (r *nodeReceiver) listen(output io.Reader, address chan<- string) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var said struct{ URL, Verified, Refused string }
		switch err := json.Unmarshal(lines.Bytes(), &said); {
		case err != nil:
			r.says <- lines.Text()
		case said.URL != "":
			address <- said.URL
		case said.Verified != "":
			r.says <- "verified " + said.Verified
		default:
			r.says <- "refused " + said.Refused
		}
	}
}

func (r *nodeReceiver) wants(t *testing.T, prefix string) {
	t.Helper()
	select {
	case got := <-r.says:
		if !strings.HasPrefix(got, prefix) {
			t.Errorf("the Node receiver says %q, want %q", got, prefix)
		}
	case <-time.After(within):
		t.Fatalf("the Node receiver said nothing, want %q", prefix)
	}
}

func TestANodeReceiverAcceptsOurSignatures(t *testing.T) {
	t.Parallel()
	node := installed(t)
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	// A receiver knows its secret before it starts, an endpoint its address: the address is set afterwards.
	e := register(t, x, "http://127.0.0.1:1/", map[string]any{"events": []string{"run_completed"}})
	r := startNode(t, node, e.Secret)
	x.Do(t, "PATCH", e.path(""), map[string]any{"url": r.url}).Want(t, 200)
	x.Do(t, "POST", e.path("/test"), nil).Want(t, 200)
	r.wants(t, "verified webhook_test")
	complete(t, x, `{"input": "grüße ☃ <&> \u2028"}`)
	r.wants(t, "verified run_completed")
	settled(t, s, x, e, "delivered")
	// It still knows the old secret only, as during any rotation.
	x.Do(t, "POST", e.path("/rotate-secret"), nil).Want(t, 201)
	x.Do(t, "POST", e.path("/test"), nil).Want(t, 200)
	r.wants(t, "verified webhook_test")
	// And it is no receiver that accepts everything.
	x.Do(t, "POST", e.path("/rotate-secret"), `{"overlap_seconds": 0}`).Want(t, 201)
	x.Do(t, "POST", e.path("/test"), nil).Want(t, 200)
	r.wants(t, "refused No matching signature")
}
