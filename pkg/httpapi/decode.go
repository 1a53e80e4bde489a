package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// Bounds of request bodies, in bytes.
const (
	maxBody      = 1 << 20
	maxBatchBody = 8 << 20
)

// maxPooledBuffer keeps one large body from holding its memory for ever.
const maxPooledBuffer = 64 << 10

// bodies holds *bytes.Buffer.
var bodies sync.Pool

// strict is how every body is read: what cannot be read exactly is refused.
// Duplicate names, invalid UTF-8 and names in another case are refused by the
// library's defaults.
var strict = json.JoinOptions(json.RejectUnknownMembers(true))

// decode reads the request's JSON body into a struct. Errors: invalid_request
// naming the field for what cannot be read, validation_failed for an id that is
// none, body_too_large, unsupported_media_type.
func decode(c *gin.Context, into any) error { return decodeWithin(c, maxBody, into) }

// decodeOptional is decode for routes whose body may be left out, with or
// without a content type.
func decodeOptional(c *gin.Context, into any) error {
	if c.Request.ContentLength == 0 {
		return nil
	}
	return read(c, maxBody, true, into)
}

// decodeWithin is decode with another bound, in bytes.
func decodeWithin(c *gin.Context, most int64, into any) error { return read(c, most, false, into) }

func read(c *gin.Context, most int64, optional bool, into any) error {
	mediaType := checkMediaType(c.Request)
	// Without a type it depends on whether there is a body at all.
	if mediaType != nil && (c.Request.ContentLength >= 0 || len(c.Request.Header["Content-Type"]) > 0) {
		return mediaType
	}
	buffer, err := gather(c, most)
	if err != nil {
		return err
	}
	defer release(buffer)
	switch {
	case buffer.Len() == 0 && optional:
		return nil
	case buffer.Len() == 0:
		return errs.New(errs.InvalidRequest, "the body is empty")
	case mediaType != nil:
		return mediaType
	}
	if err := json.Unmarshal(buffer.Bytes(), into, strict); err != nil {
		return decodeError(err, buffer.Bytes())
	}
	// Into a struct, null is read as nothing.
	if bytes.Equal(bytes.TrimSpace(buffer.Bytes()), []byte("null")) {
		return invalidRequest(nil, "", "must be an object")
	}
	return nil
}

// gather reads the body and takes room for it beforehand: for what the request says
// that it has, or in steps when it does not say. The caller releases the buffer.
func gather(c *gin.Context, most int64) (*bytes.Buffer, error) {
	told := c.Request.ContentLength
	if told > most {
		return nil, tooLarge(c, most)
	}
	steps := []int64{told}
	if told < 0 {
		steps = []int64{slightBody, modestBody, most}
	}
	buffer := borrow()
	if err := fill(c, buffer, http.MaxBytesReader(c.Writer, c.Request.Body, most), steps); err != nil {
		release(buffer)
		var over *http.MaxBytesError
		if errors.As(err, &over) {
			return nil, tooLarge(c, most)
		}
		return nil, err
	}
	return buffer, nil
}

// fill reads the body to its end. steps are how much is read before there is room
// for more, in bytes.
func fill(c *gin.Context, buffer *bytes.Buffer, body io.Reader, steps []int64) error {
	for _, size := range steps {
		if err := admissionOf(c).take(c.Request.Context(), size); err != nil {
			return refuse(c, err)
		}
		buffer.Grow(int(size) - buffer.Len() + bytes.MinRead) // at once: doubling would take three times as much
		switch _, err := io.CopyN(buffer, body, size-int64(buffer.Len())); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return errs.Wrap(err, errs.InvalidRequest, "the body ended early")
		}
	}
	// There is more, or only its end.
	if _, err := buffer.ReadFrom(body); err != nil {
		return errs.Wrap(err, errs.InvalidRequest, "the body ended early")
	}
	return nil
}

func borrow() *bytes.Buffer {
	if buffer, ok := bodies.Get().(*bytes.Buffer); ok {
		return buffer
	}
	return new(bytes.Buffer)
}

func release(buffer *bytes.Buffer) {
	if buffer.Cap() <= maxPooledBuffer {
		buffer.Reset()
		bodies.Put(buffer)
	}
}

// checkMediaType wants application/json, with any parameters, and no content
// coding. An absent body needs no type.
func checkMediaType(r *http.Request) error {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return errs.New(errs.UnsupportedMediaType, "send the body without Content-Encoding")
	}
	types := r.Header["Content-Type"]
	switch {
	case len(types) == 1 && types[0] == "application/json":
		return nil
	case len(types) == 0 && r.ContentLength == 0:
		return nil
	case len(types) == 1:
		if media, _, err := mime.ParseMediaType(types[0]); err == nil && media == "application/json" {
			return nil
		}
	}
	return errs.New(errs.UnsupportedMediaType, "send the body with Content-Type: application/json")
}

// maxDrained is how much is read of a body that is refused, in bytes. Many
// clients look at no answer before they have sent everything, and would report a
// broken connection instead of the reason. Those that expect 100 (Continue) listen.
const maxDrained = 4 * maxBatchBody

func tooLarge(c *gin.Context, most int64) error {
	return refuse(c, errs.New(errs.BodyTooLarge, "the body may have at most %d bytes", most))
}

// refuse ends a request whose body is not read, or not to its end.
func refuse(c *gin.Context, err error) error {
	c.Header("Connection", "close")
	if c.Request.ContentLength <= maxDrained && c.GetHeader("Expect") == "" {
		// An error here is a caller who hung up: there is nobody to tell.
		_, _ = io.CopyN(io.Discard, c.Request.Body, maxDrained)
	}
	return err
}

// decodeError says which field cannot be read and why, in terms of JSON.
func decodeError(err error, body []byte) error {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return syntaxError(err)
	}
	field := fieldName(semantic.JSONPointer)
	var beyond excessError
	if errors.As(err, &beyond) {
		return errs.Invalid(field, "%s", beyond)
	}
	if errors.Is(err, models.ErrBadID) {
		// The id can be read, it is only none; but what follows must be readable too.
		if err := readable(body); err != nil {
			return syntaxError(err)
		}
		return errs.Invalid(field, "is not an id of the right kind")
	}
	return invalidRequest(err, field, reason(semantic))
}

func readable(body []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewReader(body))
	if _, err := decoder.ReadValue(); err != nil {
		return err
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}
