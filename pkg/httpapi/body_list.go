package httpapi

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/txn-service/txn/pkg/ledger"
)

// texts is a list of strings in a body: event types or scopes.
type texts []string

// maxTexts is where reading texts stops: beyond what any list may have, so that
// what has somewhat too many is told how many it may have.
const maxTexts = 100

// UnmarshalJSONFrom reads the array or null (json.UnmarshalerFrom).
func (l *texts) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	return readList(decoder, (*[]string)(l), maxTexts, "has too many items")
}

// batchItems are the transactions of a batch. Three bytes of a body make an item,
// which takes two hundred in memory: those beyond the bound are not read.
type batchItems []newTransaction

// UnmarshalJSONFrom reads the array or null (json.UnmarshalerFrom).
func (l *batchItems) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	return readList(decoder, (*[]newTransaction)(l), ledger.MaxBatchItems, tooManyItems)
}

// readList reads an array of up to most elements, and none of what follows them.
func readList[T any](decoder *jsontext.Decoder, into *[]T, most int, beyond string) error {
	*into = nil
	if decoder.PeekKind() != '[' {
		return json.UnmarshalDecode(decoder, into, strict)
	}
	at := decoder.StackPointer()
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	*into = []T{} // an empty list is not one that was left out
	for decoder.PeekKind() != ']' {
		if len(*into) == most {
			return excess(at, beyond)
		}
		var element T
		if err := json.UnmarshalDecode(decoder, &element, strict); err != nil {
			return err
		}
		*into = append(*into, element)
	}
	_, err := decoder.ReadToken()
	return err
}

// excessError is returned for a value that has more parts than any may have, and
// of which the rest is not read. Its text is for the caller.
type excessError string

// Error is the text for the caller.
func (e excessError) Error() string { return string(e) }

func excess(at jsontext.Pointer, text string) error {
	return &json.SemanticError{JSONPointer: at, Err: excessError(text)}
}
