package dev

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	clientTimeout = 15 * time.Second
	maxAnswer     = 1 << 20 // bytes
)

// client calls the API as anybody's program would.
type client struct {
	url, key string
	http     http.Client
}

func newClient(url, key string) *client {
	return &client{url: url, key: key, http: http.Client{Timeout: clientTimeout}}
}

// problem is a refusal (RFC 9457).
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`

	call string
}

// Error says what was refused and why.
func (p *problem) Error() string {
	return fmt.Sprintf("%s: %d %s: %s", p.call, p.Status, p.Code, p.Detail)
}

// do sends a request; key is its idempotency key ("" for none), body what to
// encode (nil for none), answer where to decode to. replayed says that the
// answer is that of an earlier request. A refusal is a *problem.
func (c *client) do(ctx context.Context, method, path, key string, body, answer any) (replayed bool, err error) {
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return false, fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(text))
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	text, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		refusal := &problem{call: method + " " + path}
		_ = json.Unmarshal(text, refusal) // without a document the status says it
		refusal.Status = response.StatusCode
		return false, refusal
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return false, fmt.Errorf("%s %s: reading the answer: %w", method, path, err)
	}
	return response.Header.Get("Idempotent-Replayed") == "true", nil
}
