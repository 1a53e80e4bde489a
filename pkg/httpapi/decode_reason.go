package httpapi

import (
	"errors"
	"io"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/txn-service/txn/pkg/errs"
)

// valueError is returned by the types of this package for a JSON value that
// they cannot take. Its text is for the caller.
type valueError string

// Error is the text for the caller.
func (e valueError) Error() string { return string(e) }

const errTrailing = valueError("there is something after the JSON object")

// invalidRequest is an invalid_request about one field, or about the body as a
// whole when field is empty.
func invalidRequest(cause error, field, message string) error {
	if field == "" {
		return errs.Wrap(cause, errs.InvalidRequest, "the body %s", message)
	}
	err := errs.Wrap(cause, errs.InvalidRequest, "%s: %s", field, message)
	err.Fields = []errs.Field{{Field: field, Message: message}}
	return err
}

// syntaxError is an invalid_request for what is no JSON, or ambiguous JSON.
func syntaxError(err error) error {
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) {
		return errs.Wrap(err, errs.InvalidRequest, "the body is not one JSON object")
	}
	field := fieldName(syntactic.JSONPointer)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return invalidRequest(err, field, "is given twice")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errs.Wrap(err, errs.InvalidRequest, "the body ends in the middle of its JSON")
	default:
		return errs.Wrap(err, errs.InvalidRequest, "the body is no valid JSON at byte %d", syntactic.ByteOffset)
	}
}

// reason says in terms of JSON, never of Go, why a value cannot be taken.
func reason(err *json.SemanticError) string {
	var own valueError
	switch {
	case errors.Is(err.Err, json.ErrUnknownName):
		return "is not a field of this request"
	case errors.As(err.Err, &own):
		return string(own)
	}
	return "must be " + wanted(err.GoType)
}

// wanted names the JSON type that a Go type is read from.
func wanted(kind reflect.Type) string {
	if kind == nil {
		return "of another type"
	}
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch kind.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer without fraction or exponent, within 64 bits"
	case reflect.Slice, reflect.Array:
		if kind.Elem().Kind() == reflect.Uint8 {
			return "a string" // ids are arrays of bytes that are written as text
		}
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Map, reflect.Struct:
		return "an object"
	default:
		return "of another type"
	}
}

// fieldName writes a JSON pointer (RFC 6901) the way errors name fields:
// /transactions/3/amount is transactions[3].amount.
func fieldName(pointer jsontext.Pointer) string {
	var name strings.Builder
	for token := range pointer.Tokens() {
		if isIndex(token) {
			name.WriteString("[" + token + "]")
			continue
		}
		if name.Len() > 0 {
			name.WriteByte('.')
		}
		name.WriteString(shorten(token))
	}
	return name.String()
}

func isIndex(token string) bool {
	return token != "" && len(token) <= 4 && strings.Trim(token, "0123456789") == ""
}

// maxFieldName bounds how much of a caller's own text an error repeats.
const maxFieldName = 64

func shorten(token string) string {
	if len(token) <= maxFieldName {
		return token
	}
	return strings.ToValidUTF8(token[:maxFieldName], "") + "…"
}
