package httpapi

import (
	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/errs"
)

// maxIdempotencyKey is the length of an idempotency key, in characters.
const maxIdempotencyKey = 255

const idempotencyField = "idempotency_key"

// takeKey returns the request's idempotency key, from the Idempotency-Key header
// or the body's field, and takes it out of the body: what remains is what the
// key's fingerprint is made of. Errors: idempotency_key_missing without either,
// invalid_request for a malformed one and for two that differ.
func takeKey(c *gin.Context, inBody **string) (string, error) {
	var field *string
	if inBody != nil {
		field, *inBody = *inBody, nil
	}
	lines := c.Request.Header["Idempotency-Key"]
	if len(lines) > 1 {
		return "", invalidRequest(nil, "Idempotency-Key", "is given more than once")
	}
	switch {
	case len(lines) == 0 && field == nil:
		return "", errs.New(errs.IdempotencyKeyMissing,
			"send an Idempotency-Key header (or an idempotency_key field) that is new for each operation and the same when you retry it")
	case len(lines) == 0:
		return *field, checkKey(idempotencyField, *field)
	case field != nil && *field != lines[0]:
		return "", invalidRequest(nil, idempotencyField, "differs from the Idempotency-Key header")
	default:
		return lines[0], checkKey("Idempotency-Key", lines[0])
	}
}

// checkKey wants 1 to 255 printable ASCII characters.
func checkKey(name, key string) error {
	if key == "" || len(key) > maxIdempotencyKey {
		return invalidRequest(nil, name, "must have 1 to 255 characters")
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return invalidRequest(nil, name, "must be printable ASCII")
		}
	}
	return nil
}
