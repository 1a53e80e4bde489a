package httpapi

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// optional is a field of a PATCH, where leaving a field out and setting it to
// null are different wishes. Use it with `omitzero`.
type optional[T any] struct {
	// Given says that the field is there.
	Given bool
	// Value is nil when the field is null.
	Value *T
}

// UnmarshalJSONFrom reads the value or null (json.UnmarshalerFrom). It is called
// for fields that are there.
func (o *optional[T]) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	o.Given = true
	if decoder.PeekKind() == 'n' {
		o.Value = nil
		return decoder.SkipValue()
	}
	o.Value = new(T)
	return json.UnmarshalDecode(decoder, o.Value, strict)
}

// MarshalJSONTo writes the value or null, for fingerprints (json.MarshalerTo).
func (o optional[T]) MarshalJSONTo(encoder *jsontext.Encoder) error {
	return json.MarshalEncode(encoder, o.Value)
}

// IsZero reports that the field was left out.
func (o optional[T]) IsZero() bool { return !o.Given }

// required is a field that may be left out, but not be null: a PATCH of what
// cannot be unset.
type required[T any] struct {
	// Value is nil when the field was left out.
	Value *T
}

// UnmarshalJSONFrom reads the value (json.UnmarshalerFrom).
func (r *required[T]) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() == 'n' {
		if err := decoder.SkipValue(); err != nil {
			return err
		}
		return valueError("must not be null")
	}
	r.Value = new(T)
	return json.UnmarshalDecode(decoder, r.Value, strict)
}

// MarshalJSONTo writes the value, for fingerprints (json.MarshalerTo).
func (r required[T]) MarshalJSONTo(encoder *jsontext.Encoder) error {
	return json.MarshalEncode(encoder, r.Value)
}

// IsZero reports that the field was left out.
func (r required[T]) IsZero() bool { return r.Value == nil }
