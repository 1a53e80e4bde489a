package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
)

// Statement ranges over an account's whole statement, newest first, as one consistent
// state that is streamed while it is read. An error is the last thing that it yields:
// without one, the statement was complete. What was yielded is never repeated, so only
// the beginning is retried.
func (s *AccountService) Statement(ctx context.Context, id string, options ...CallOption) iter.Seq2[StatementEntry, error] {
	return func(yield func(StatementEntry, error) bool) {
		body, r, err := s.export(ctx, id, "application/x-ndjson", options)
		if err != nil {
			yield(StatementEntry{}, err)
			return
		}
		defer body.Close()
		for lines := json.NewDecoder(body); ; {
			var entry StatementEntry
			err := lines.Decode(&entry)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(StatementEntry{}, &brokenError{r.String(), err})
				return
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// WriteCSV writes an account's whole statement as CSV (RFC 4180), newest first, after
// a header line. Without an error it was complete.
func (s *AccountService) WriteCSV(ctx context.Context, w io.Writer, id string, options ...CallOption) error {
	body, r, err := s.export(ctx, id, "text/csv", options)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return &brokenError{r.String(), err}
	}
	return nil
}

func (s *AccountService) export(ctx context.Context, id, mediaType string, options []CallOption) (io.ReadCloser, route, error) {
	r := listEntries(id, ListEntriesParams{})
	made, err := s.c.newCall(r, nil, options)
	if err != nil {
		return nil, r, err
	}
	made.accept = mediaType
	answer, err := made.stream(ctx)
	if err != nil {
		return nil, r, err
	}
	return answer.Body, r, nil
}
