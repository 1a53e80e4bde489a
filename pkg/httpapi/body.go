package httpapi

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// bodyID is an id of another object in a body. What is no id of the kind is
// remembered instead of ending the decoding: the rest of the body is still read
// and may be refused for worse, and in a batch the item alone is at fault.
type bodyID[P models.Prefix] struct {
	id models.ID[P]
	// given says that the field is there and not null, malformed that it holds no
	// id of the kind.
	given, malformed bool
}

// bodyAccountID is the id of an account in a body.
type bodyAccountID = bodyID[models.AccountPrefix]

// UnmarshalJSONFrom reads a string or null (json.UnmarshalerFrom).
func (r *bodyID[P]) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	*r = bodyID[P]{}
	switch decoder.PeekKind() {
	case 'n':
		return decoder.SkipValue()
	case '"':
	default:
		if err := decoder.SkipValue(); err != nil {
			return err
		}
		return valueError("must be a string")
	}
	token, err := decoder.ReadToken()
	if err != nil {
		return err
	}
	id, err := models.ParseID[P](token.String())
	*r = bodyID[P]{id: id, given: true, malformed: err != nil}
	return nil
}

// read returns the id, zero when the field was left out. The all-zero id is well
// formed, so it is unknown like any other id that names nothing, and never taken
// for a field that was left out.
//
// Coded errors: ValidationFailed for what is no id, NotFound.
func (r bodyID[P]) read(field string) (models.ID[P], error) {
	switch {
	case r.malformed:
		return r.id, errs.Invalid(field, "is not an id of the right kind")
	case r.given && r.id.IsZero():
		return r.id, errs.New(errs.NotFound, "%s: there is no %s", field, r.id)
	default:
		return r.id, nil
	}
}

// pairs is metadata in a body: an object of strings. Null in the place of a value
// would be read as an empty string, and is refused.
type pairs models.Metadata

// maxPairs is where reading pairs stops. What has somewhat too many is told how
// many it may have; a body of nothing else would fill many times its own memory.
const maxPairs = 2 * models.MaxMetadataPairs

// UnmarshalJSONFrom reads the object or null (json.UnmarshalerFrom).
func (p *pairs) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	*p = nil
	if decoder.PeekKind() != '{' {
		return json.UnmarshalDecode(decoder, (*map[string]string)(p), strict)
	}
	at := decoder.StackPointer()
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	for decoder.PeekKind() != '}' {
		if len(*p) == maxPairs {
			return excess(at, "has too many pairs")
		}
		name, err := decoder.ReadToken()
		if err != nil {
			return err
		}
		key := name.String()
		var value *string
		if err := json.UnmarshalDecode(decoder, &value, strict); err != nil {
			return err
		}
		if value == nil {
			return &json.SemanticError{JSONPointer: at, Err: valueError("must be an object whose values are strings")}
		}
		if *p == nil {
			*p = make(pairs)
		}
		(*p)[key] = *value
	}
	_, err := decoder.ReadToken()
	return err
}
