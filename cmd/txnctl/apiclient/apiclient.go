// Package apiclient calls the HTTP API as anybody's program would: what the
// commands dev, smoke and bench share.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	callTimeout = 15 * time.Second
	// maxAnswer is more than the largest batch answers with, in bytes.
	maxAnswer = 16 << 20
	// readyInterval is between two questions whether the API is ready.
	readyInterval = 500 * time.Millisecond
)

// Client calls one API with one key. It may be used from several goroutines.
type Client struct {
	// Once makes every broken connection an error. Without it, net/http sends a
	// request with an idempotency key again by itself.
	Once bool

	url, key string
	http     http.Client
}

// New returns a client for the API at url that keeps up to that many connections,
// each with one request at a time. It goes through no proxy, and follows no
// redirect: the key is for this address alone.
func New(url, key string, connections int) *Client {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // HTTP/2 would make one connection of all
	return &Client{
		url: strings.TrimRight(url, "/"), key: key,
		http: http.Client{
			Timeout: callTimeout,
			Transport: &http.Transport{
				Protocols: &protocols, MaxIdleConns: connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends a request; key is its idempotency key ("" for none), body what to
// encode and answer where to decode to, both nil for none. replayed says that the
// answer is that of an earlier request. A refusal is a *RefusedError.
func (c *Client) Do(ctx context.Context, method, path, key string, body, answer any) (replayed bool, err error) {
	call := method + " " + path
	request, err := c.request(ctx, method, path, key, body)
	if err != nil {
		return false, fmt.Errorf("%s: %w", call, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return false, fmt.Errorf("%s: %w", call, err)
	}
	defer response.Body.Close()
	limited := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode >= http.StatusMultipleChoices {
		return false, readRefusal(call, response, limited)
	}
	if answer == nil {
		_, err = io.Copy(io.Discard, limited) // a connection is used again only after its answer was read
	} else {
		err = decode(limited, answer)
	}
	if err != nil {
		return false, fmt.Errorf("%s: reading the answer: %w", call, err)
	}
	return response.Header.Get("Idempotent-Replayed") == "true", nil
}

// Get reads what is at path into answer.
func (c *Client) Get(ctx context.Context, path string, answer any) error {
	_, err := c.Do(ctx, http.MethodGet, path, "", nil, answer)
	return err
}

func (c *Client) request(ctx context.Context, method, path, key string, body any) (*http.Request, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	if c.Once {
		request.GetBody = nil
	}
	return request, nil
}

// AwaitReady returns when the API says that it can work, or with what it said
// last when ctx ends.
func (c *Client) AwaitReady(ctx context.Context) error {
	for {
		err := c.Get(ctx, "/readyz", nil)
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

func decode(from io.Reader, answer any) error {
	text, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, answer)
}
