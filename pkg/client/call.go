package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// maxAnswer is more than the largest batch answers with, in bytes. What is streamed has
// no such bound.
const maxAnswer = 16 << 20

// maxKey is the length of an idempotency key, in characters.
const maxKey = 255

// CallOption changes one call.
type CallOption func(*call)

// WithIdempotencyKey makes the call under this key, 1 to 255 printable ASCII characters,
// instead of a random one. The same key with the same request is executed once, however
// often it is sent; with another request it is CodeIdempotencyKeyReused. Calls that make
// nothing take no key.
func WithIdempotencyKey(key string) CallOption { return func(c *call) { c.key = key } }

// Response is what an answer says beside its body.
type Response struct {
	// Status is that of HTTP; 0 means that the last try got no answer.
	Status int
	// RequestID names the request in the logs of the service.
	RequestID string
	// IdempotencyKey is what the call was made under; empty for one that makes nothing.
	IdempotencyKey string
	// Replayed says that this is the answer to an earlier request with the same key, which
	// may be an earlier try of this call.
	Replayed bool
	// Tries counts the requests that were sent, without those that net/http repeated at
	// once because a connection that it had kept was closed.
	Tries int
}

// WithResponse keeps in r what the last answer says beside its body, also when it is
// a refusal. Do not share r between calls that run at once.
func WithResponse(r *Response) CallOption { return func(c *call) { c.response = r } }

// call is one call with all of its tries.
type call struct {
	client *Client
	route  route

	key      string
	body     []byte
	accept   string
	response *Response
	// unclear says that a try may have been executed though it failed.
	unclear bool
}

// newCall prepares a call; body is what to encode, nil for none.
func (c *Client) newCall(r route, body any, options []CallOption) (*call, error) {
	made := &call{client: c, route: r, accept: "application/json", response: &Response{}}
	if body != nil {
		var err error
		if made.body, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	for _, option := range options {
		option(made)
	}
	if r.keyed() && made.key == "" {
		made.key = rand.Text()
	}
	if r.keyed() && (!printable(made.key) || len(made.key) > maxKey) {
		return nil, errors.New("an idempotency key has 1 to 255 printable ASCII characters")
	}
	*made.response = Response{}
	if r.keyed() {
		made.response.IdempotencyKey = made.key
	}
	return made, nil
}

// do makes a call and decodes its answer.
func do[T any](ctx context.Context, c *Client, r route, body any, options []CallOption) (*T, error) {
	made, err := c.newCall(r, body, options)
	if err != nil {
		return nil, err
	}
	text, err := made.whole(ctx)
	if err != nil {
		return nil, err
	}
	answer := new(T)
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, decodingError(r.String(), err)
	}
	return answer, nil
}

// remove makes a call that removes something and is answered without a body. What an
// earlier try may have removed is not missed.
func remove(ctx context.Context, c *Client, r route, options []CallOption) error {
	made, err := c.newCall(r, nil, options)
	if err != nil {
		return err
	}
	_, err = made.whole(ctx)
	if made.unclear && IsCode(err, CodeNotFound) {
		return nil
	}
	return err
}

// whole returns the body of the answer, after as many tries as it takes and may take.
func (c *call) whole(ctx context.Context) (text []byte, err error) {
	err = c.retrying(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, c.client.timeout)
		defer cancel()
		answer, err := c.send(ctx)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
		switch {
		case err != nil:
			return &brokenError{c.route.String(), err}
		case len(text) > maxAnswer:
			return decodingError(c.route.String(), errors.New("it is too long"))
		}
		return nil
	})
	return text, err
}

// stream returns an answer whose body is still to be read, and closed.
func (c *call) stream(ctx context.Context) (answer *http.Response, err error) {
	err = c.retrying(ctx, func() (err error) {
		answer, err = c.send(ctx) //nolint:bodyclose // the caller reads it
		return err
	})
	return answer, err
}

// send makes one try. Any answer but success is an error.
func (c *call) send(ctx context.Context) (*http.Response, error) {
	request, err := c.request(ctx)
	if err != nil {
		return nil, err
	}
	*c.response = Response{IdempotencyKey: c.response.IdempotencyKey, Tries: c.response.Tries + 1}
	answer, err := c.client.http.Do(request)
	if err != nil {
		return nil, &brokenError{c.route.String(), err}
	}
	c.response.Status = answer.StatusCode
	c.response.RequestID = answer.Header.Get("X-Request-Id")
	c.response.Replayed = answer.Header.Get("Idempotent-Replayed") == "true"
	if answer.StatusCode >= http.StatusMultipleChoices {
		defer answer.Body.Close()
		return nil, readError(c.route.String(), answer)
	}
	return answer, nil
}

func (c *call) request(ctx context.Context) (*http.Request, error) {
	address := c.client.base + c.route.path
	if len(c.route.query) > 0 {
		address += "?" + c.route.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, c.route.method, address, c.content())
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.client.key)
	request.Header.Set("Accept", c.accept)
	request.Header.Set("User-Agent", c.client.userAgent)
	if request.Body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.route.keyed() {
		request.Header.Set("Idempotency-Key", c.key)
	}
	if c.client.retries == 0 {
		request.GetBody = nil // or net/http itself sends it again, for its idempotency key
	}
	return request, nil
}

// content is the body. A POST always has one: net/http sends what has none again even
// without GetBody.
func (c *call) content() io.Reader {
	switch {
	case c.body != nil:
		return bytes.NewReader(c.body)
	case c.route.keyed():
		return strings.NewReader("{}")
	default:
		return nil
	}
}
