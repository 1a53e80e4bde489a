package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
	"sync"
	"time"

	"github.com/txn-service/txn/pkg/models"
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

const secretPrefix = "whsec_"

// FormatSecret writes a signing secret as its owner sees it.
func FormatSecret(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// Signer signs bodies with the live secrets of one endpoint. It is safe for
// concurrent use.
type Signer struct {
	macs []*sync.Pool
}

// NewSigner returns a signer for one or more live secrets, newest first.
func NewSigner(secrets ...[]byte) *Signer {
	signer := &Signer{macs: make([]*sync.Pool, len(secrets))}
	for i, secret := range secrets {
		// Setting up an HMAC hashes two blocks; a reset one starts from there.
		signer.macs[i] = &sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}
	}
	return signer
}

// Sign returns the signature header: `v1,` and base64 of the HMAC-SHA256 over
// `id.timestamp.body`, one per live secret, separated by spaces.
func (s *Signer) Sign(id models.EventID, at time.Time, body []byte) string {
	content := make([]byte, 0, 64)
	content, _ = id.AppendText(content)
	content = append(content, '.')
	content = strconv.AppendInt(content, at.Unix(), 10)
	content = append(content, '.')
	header := make([]byte, 0, 47*len(s.macs)+1)
	for i, pool := range s.macs {
		mac := pool.Get().(hash.Hash)
		mac.Reset()
		_, _ = mac.Write(content) // a hash never fails
		_, _ = mac.Write(body)
		var sum [sha256.Size]byte
		if i > 0 {
			header = append(header, ' ')
		}
		header = append(header, "v1,"...)
		header = base64.StdEncoding.AppendEncode(header, mac.Sum(sum[:0]))
		pool.Put(mac)
	}
	return string(header)
}
