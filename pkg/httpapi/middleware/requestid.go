package middleware

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
)

// requestIDHeader in Go's canonical form, which saves the conversion.
const requestIDHeader = "X-Request-Id"

// maxRequestID bounds a caller's own request id, in bytes.
const maxRequestID = 128

// requestID takes over the caller's id when there is exactly one and it is sane:
// at most 128 printable ASCII characters. Otherwise it makes one.
func requestID(header http.Header) string {
	if ids := header[requestIDHeader]; len(ids) == 1 && printable(ids[0], maxRequestID) {
		return ids[0]
	}
	return newRequestID()
}

// newRequestID returns 120 random bits. They need not be unguessable, only
// different.
func newRequestID() string {
	var raw [16]byte
	for i := 0; i < len(raw); i += 8 {
		word := rand.Uint64()
		for j := range 8 {
			raw[i+j] = byte(word >> (8 * j))
		}
	}
	var text [4 + 30]byte
	copy(text[:], "req_")
	hex.Encode(text[4:], raw[:15])
	return string(text[:])
}

// printable reports whether text has 1 to most printable ASCII characters.
func printable(text string, most int) bool {
	if text == "" || len(text) > most {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
