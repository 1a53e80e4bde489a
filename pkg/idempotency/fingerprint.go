// Package idempotency runs requests that move no money exactly once per key:
// the answer of the first is stored in its transaction and replayed to the
// others. Movements keep their key on the transaction itself (package ledger).
package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/go-json-experiment/json"
)

// Fingerprint identifies a request: two requests with one key are the same when
// their fingerprints are.
type Fingerprint [sha256.Size]byte

// NewFingerprint hashes the operation, the ids of its path and the decoded body
// without its key. The body is hashed in a canonical form: object members in
// order of the struct's fields, map keys sorted, fields with zero values left
// out. Spelling (white space, order, escapes) therefore makes no difference,
// and a release that adds an optional field still recognises the keys of the
// one before. Renaming or reordering the fields of a body breaks that.
func NewFingerprint(operation string, body any, pathIDs ...string) (Fingerprint, error) {
	canonical, err := json.Marshal(body, json.Deterministic(true), json.OmitZeroStructFields(true))
	if err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint of %s: %w", operation, err)
	}
	hash := sha256.New()
	part := func(b []byte) {
		// The length keeps ("ab", "c") and ("a", "bc") apart.
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(b)))
		hash.Write(length[:])
		hash.Write(b)
	}
	part([]byte(operation))
	for _, id := range pathIDs {
		part([]byte(id))
	}
	part(canonical)
	return Fingerprint(hash.Sum(nil)), nil
}
