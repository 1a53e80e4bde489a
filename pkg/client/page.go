package client

import (
	"context"
	"iter"
)

// Page is a part of a list.
type Page[T any] struct {
	Data []T `json:"data"`
	// HasMore says that there is a further page, whose parameter Cursor is NextCursor.
	// Cursors belong to one list and do not expire.
	HasMore    bool   `json:"has_more"`
	NextCursor string `json:"next_cursor"`
}

// all asks for page after page while it is ranged over. An error is the last thing that
// it yields.
func all[T any](ctx context.Context, c *Client, r route, options []CallOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for next := r; ; {
			page, err := do[Page[T]](ctx, c, next, nil, options)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Data {
				if !yield(item, nil) {
					return
				}
			}
			if !page.HasMore || page.NextCursor == "" {
				return
			}
			next = r.with("cursor", page.NextCursor)
		}
	}
}
