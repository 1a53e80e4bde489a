package apiclient

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxQuoted is how much of an answer without a problem document an error quotes,
// in bytes.
const maxQuoted = 1 << 10

// RefusedError is a refusal (RFC 9457).
type RefusedError struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// RetryAfter is how long the API wants its caller to wait; zero means that it
	// does not say.
	RetryAfter time.Duration `json:"-"`

	call string
}

// Error says what was refused and why.
func (p *RefusedError) Error() string {
	text := fmt.Sprintf("%s: %d %s", p.call, p.Status, p.Code)
	if p.Code == "" {
		text = fmt.Sprintf("%s: %d %s", p.call, p.Status, http.StatusText(p.Status))
	}
	if p.Detail == "" {
		return text
	}
	return text + ": " + p.Detail
}

func readRefusal(call string, response *http.Response, body io.Reader) *RefusedError {
	p := &RefusedError{}
	text, _ := io.ReadAll(body) // what is there; the status says enough
	if json.Unmarshal(text, p) != nil || p.Code == "" {
		// Something in between answered, or no txn at all.
		p = &RefusedError{Detail: string(text[:min(len(text), maxQuoted)])}
	}
	p.Status, p.call = response.StatusCode, call
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}
