package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/config"
)

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
		return nil, &refusedError{resp.StatusCode, oneSentence(problem.Title, problem.Detail)}
	}
	return resp, nil
}

// oneSentence joins a problem's title and detail; a detail that says the title again stands alone.
func oneSentence(title, detail string) string {
	bare := func(s string) string { return strings.ToLower(strings.Trim(s, " .")) }
	switch {
	case detail == "" || bare(title) == bare(detail):
		return title
	case strings.HasPrefix(bare(detail), bare(title)):
		return detail
	}
	return title + ": " + detail
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
