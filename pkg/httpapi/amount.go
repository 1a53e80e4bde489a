package httpapi

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// amount is money in a body, in minor units: a JSON integer of up to 64 bits
// without fraction or exponent. Null, which a plain int64 would read as 0, is
// refused. Whether the amount is acceptable is for models.CheckAmount.
type amount int64

// UnmarshalJSONFrom reads the integer (json.UnmarshalerFrom).
func (a *amount) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '0' {
		if err := decoder.SkipValue(); err != nil {
			return err
		}
		return errNotInteger
	}
	if err := json.UnmarshalDecode(decoder, (*int64)(a)); err != nil {
		return errNotInteger
	}
	return nil
}

const errNotInteger = valueError("must be an integer without fraction or exponent, within 64 bits")
