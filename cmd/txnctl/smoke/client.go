package smoke

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
	callTimeout = 15 * time.Second
	maxAnswer   = 1 << 20 // bytes
	maxQuoted   = 1 << 10 // bytes
)

// client calls the API as anybody's program would.
type client struct {
	url, key string
	http     http.Client
}

// call sends a request and decodes the answer. idempotencyKey is "" and body nil
// for a GET; replayed says that the answer is that of an earlier request.
func (c *client) call(ctx context.Context, method, path, idempotencyKey string, body, answer any) (replayed bool, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body == nil {
		text = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(text))
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", idempotencyKey)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	text, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return false, fmt.Errorf("%s %s: %w", method, path, err)
	case response.StatusCode >= http.StatusBadRequest:
		return false, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text[:min(len(text), maxQuoted)])
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return false, fmt.Errorf("%s %s: reading the answer: %w", method, path, err)
	}
	return response.Header.Get("Idempotent-Replayed") == "true", nil
}

// awaitReady returns when the API says that it can work, or with what it said
// last when ctx ends.
func (c *client) awaitReady(ctx context.Context) error {
	for {
		_, err := c.call(ctx, http.MethodGet, "/readyz", "", nil, &struct{}{})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API did not become ready: %w", err)
		case <-time.After(readyInterval):
		}
	}
}
