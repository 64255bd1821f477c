package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/config"
)

const runUsage = `Usage:
  lari run [-agent A] [-thread ID] TEXT   start a run and watch it (Ctrl-C stops it)
  lari run -watch ID                      watch a run from its beginning
  lari run -cancel ID [-reason TEXT]      stop a run and wait until it has stopped

The API and the token are LARI_API_URL and LARI_TOKEN, or those of the lari dev that runs here.
`

// run is a small client of the HTTP API: it goes through the same door as everybody.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, runUsage) }
	agent := flags.String("agent", "", "")
	thread := flags.String("thread", "", "")
	watch := flags.String("watch", "", "")
	cancel := flags.String("cancel", "", "")
	reason := flags.String("reason", "", "")
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	switch {
	case *watch != "":
		return c.watch(ctx, *watch)
	case *cancel != "":
		return c.cancel(ctx, *cancel, *reason)
	case flags.NArg() == 0:
		flags.Usage()
		return errUsage
	}
	id, err := c.start(ctx, *agent, *thread, strings.Join(flags.Args(), " "))
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "run", id)
	err = c.watch(ctx, id)
	if errors.Is(err, context.Canceled) {
		stopping, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer done()
		return c.cancel(stopping, id, "interrupted at the terminal")
	}
	return err
}

type apiClient struct {
	url, token string
}

func newClient() (apiClient, error) {
	c := apiClient{url: os.Getenv("LARI_API_URL"), token: os.Getenv("LARI_TOKEN")}
	if c.url != "" && c.token != "" {
		return c, nil
	}
	cfg, err := config.Load(config.Environ(os.Environ()))
	if err != nil {
		return c, err
	}
	state, err := readState(cfg.DataDir)
	if err != nil {
		return c, err
	}
	if c.url == "" {
		c.url = state.APIURL
	}
	if c.token == "" {
		c.token = state.Token
	}
	return c, nil
}

func (c apiClient) do(ctx context.Context, method, path string, body any, header http.Header) (*http.Response, error) {
	var payload io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, payload)
	if err != nil {
		return nil, err
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 {
		defer func() { _ = resp.Body.Close() }()
		var problem struct{ Title, Detail string }
		if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&problem); err != nil {
			return nil, fmt.Errorf("the API answered %s", resp.Status)
		}
		return nil, &refusedError{resp.StatusCode, problem.Title + ": " + problem.Detail}
	}
	return resp, nil
}

// refusedError is a problem document of the API.
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string { return e.text }

func (c apiClient) start(ctx context.Context, agent, thread, text string) (string, error) {
	body := map[string]any{"input": text}
	if agent != "" {
		body["agent"] = agent
	}
	if thread != "" {
		body["thread_id"] = thread
	}
	resp, err := c.do(ctx, http.MethodPost, "/v1/runs", body, http.Header{"Idempotency-Key": {uuid.NewString()}})
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var created struct{ ID string }
	return created.ID, json.NewDecoder(resp.Body).Decode(&created)
}

func (c apiClient) cancel(ctx context.Context, id, reason string) error {
	resp, err := c.do(ctx, http.MethodPost, "/v1/runs/"+id+"/cancel?wait=true", map[string]string{"reason": reason}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var r struct {
		Status string
		Cancel struct {
			StoppedMS int64 `json:"stopped_ms"`
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "\n%s, stopped within %d ms\n", r.Status, r.Cancel.StoppedMS)
	return nil
}

// watch prints a run until it ends, and connects again where it was whenever the connection breaks.
func (c apiClient) watch(ctx context.Context, id string) error {
	after, broken := int64(0), false
	for {
		before := after
		ended, err := c.follow(ctx, id, &after)
		var refused *refusedError
		switch {
		case ended || ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refused) && refused.status < 500:
			return err
		}
		if !broken || after > before {
			fmt.Fprint(os.Stderr, "\n(the connection broke: trying again)\n")
		}
		broken = true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (c apiClient) follow(ctx context.Context, id string, after *int64) (ended bool, err error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/runs/"+id+"/stream", nil, http.Header{"Last-Event-ID": {strconv.FormatInt(*after, 10)}})
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNoContent {
		return true, nil
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e event.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return false, err
		}
		*after = e.Seq
		show(e)
		if e.Final() {
			return true, nil
		}
	}
	return false, lines.Err()
}

// show prints what a person at a terminal wants to see: the text to standard output, the rest beside it.
func show(e event.Event) {
	var d struct {
		Text, Name, Result, Error, Message, Reason string
		Arguments                                  json.RawMessage
	}
	if json.Unmarshal(e.Data, &d) != nil {
		return
	}
	switch e.Type {
	case event.MessageDelta:
		fmt.Print(d.Text)
	case event.MessageCompleted:
		fmt.Println()
	case event.ToolCallStarted:
		fmt.Fprintf(os.Stderr, "→ %s %s\n", d.Name, d.Arguments)
	case event.AttemptRestarted:
		fmt.Fprint(os.Stderr, "\n(the worker was replaced: the text begins again)\n")
	case event.ApprovalRequested:
		fmt.Fprintf(os.Stderr, "waiting for the approval of %s %s\n", d.Name, d.Arguments)
	case event.RunError:
		fmt.Fprintln(os.Stderr, "failed:", d.Message)
	case event.RunStarted, event.RunProgress, event.RunCompleted, event.RunCancelled, event.ToolCallCompleted,
		event.ApprovalResolved, event.MessageReceived, event.ReasoningDelta:
	}
}
