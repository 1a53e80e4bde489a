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

// Secret is a signing secret.
type Secret struct {
	Bytes []byte
	// Until is when it stops signing; zero is never.
	Until time.Time
}

// Signer signs bodies with the live secrets of one endpoint. It is safe for
// concurrent use.
type Signer struct {
	keys []signingKey
}

type signingKey struct {
	until time.Time
	macs  *sync.Pool
}

// NewSigner returns a signer for one or more secrets, the current one first.
func NewSigner(secrets ...Secret) *Signer {
	signer := &Signer{keys: make([]signingKey, len(secrets))}
	for i, secret := range secrets {
		// Setting up an HMAC hashes two blocks; a reset one starts from there.
		signer.keys[i] = signingKey{secret.Until, &sync.Pool{New: func() any { return hmac.New(sha256.New, secret.Bytes) }}}
	}
	return signer
}

// Sign returns the signature header: `v1,` and base64 of the HMAC-SHA256 over
// `id.timestamp.body`, one per secret that is live at the time, separated by
// spaces.
func (s *Signer) Sign(id models.EventID, at time.Time, body []byte) string {
	content := make([]byte, 0, 64)
	content, _ = id.AppendText(content)
	content = append(content, '.')
	content = strconv.AppendInt(content, at.Unix(), 10)
	content = append(content, '.')
	header := make([]byte, 0, 47*len(s.keys)+1)
	for _, key := range s.keys {
		if !key.until.IsZero() && !at.Before(key.until) {
			continue
		}
		mac := key.macs.Get().(hash.Hash)
		mac.Reset()
		_, _ = mac.Write(content) // a hash never fails
		_, _ = mac.Write(body)
		var sum [sha256.Size]byte
		if len(header) > 0 {
			header = append(header, ' ')
		}
		header = append(header, "v1,"...)
		header = base64.StdEncoding.AppendEncode(header, mac.Sum(sum[:0]))
		key.macs.Put(mac)
	}
	return string(header)
}
