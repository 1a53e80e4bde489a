package client

import "encoding/json"

// Nullable is a field of a request that can be set, set to null, or left alone. Its
// zero value leaves alone what is there, or lets the default stand.
type Nullable[T any] struct {
	value T
	state nullState
}

type nullState uint8

const (
	leftAlone nullState = iota
	null
	set
)

// Value sets a field.
func Value[T any](value T) Nullable[T] { return Nullable[T]{value: value, state: set} }

// Null sets a field to null: no reference, no limit, no metadata.
func Null[T any]() Nullable[T] { return Nullable[T]{state: null} }

// IsZero reports whether the field is left alone; encoding/json then leaves it out.
func (n Nullable[T]) IsZero() bool { return n.state == leftAlone }

// MarshalJSON implements json.Marshaler.
func (n Nullable[T]) MarshalJSON() ([]byte, error) {
	if n.state != set {
		return []byte("null"), nil
	}
	return json.Marshal(n.value)
}

// UnmarshalJSON implements json.Unmarshaler, for programs that keep requests as
// JSON.
func (n *Nullable[T]) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Null[T]()
		return nil
	}
	n.state = set
	return json.Unmarshal(text, &n.value)
}
