package problem

import "strconv"

// ItemError says which item of a batch failed; its document carries the index.
type ItemError struct {
	// Index counts the batch's items from 0.
	Index int
	Err   error
}

// Error is the text for logs.
func (e *ItemError) Error() string { return "item " + strconv.Itoa(e.Index) + ": " + e.Err.Error() }

// Unwrap returns the item's own error, which decides code and status.
func (e *ItemError) Unwrap() error { return e.Err }
