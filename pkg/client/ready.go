package client

import (
	"context"
	"net/http"
)

// Ready asks once whether the API can work; its answer is nil, or the reason in an
// *Error. It needs no valid key.
func (c *Client) Ready(ctx context.Context) error {
	once := *c
	once.retries = 0
	made, err := once.newCall(route{method: http.MethodGet, path: "/readyz"}, nil, nil)
	if err != nil {
		return err
	}
	_, err = made.whole(ctx)
	return err
}
