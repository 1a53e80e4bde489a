package webhook

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/txn-service/txn/pkg/models"
)

// keyIDSize is how many bytes of a key's SHA-256 name it in a ciphertext: enough
// to tell the keys of one list apart, too few to say anything about the key.
const keyIDSize = 4

// ErrNoKey says that a secret is encrypted with a key that is not in the list.
var ErrNoKey = errors.New("no encryption key for this secret: add the retired key to security.encryption_keys")

// Keyring encrypts signing secrets at rest. The first key encrypts, all decrypt.
// It is safe for concurrent use.
type Keyring struct {
	first [keyIDSize]byte
	keys  map[[keyIDSize]byte]cipher.AEAD
	ids   []string // in the order of the list
}

// NewKeyring returns a keyring over AES-256 keys of 32 bytes each.
func NewKeyring(keys [][]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("webhook: a keyring needs at least one key")
	}
	ring := &Keyring{first: keyID(keys[0]), keys: make(map[[keyIDSize]byte]cipher.AEAD, len(keys))}
	for i, key := range keys {
		if len(key) != 32 {
			return nil, fmt.Errorf("webhook: encryption key %d does not have 32 bytes", i+1)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("webhook: encryption key %d: %w", i+1, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("webhook: encryption key %d: %w", i+1, err)
		}
		id := keyID(key)
		if ring.keys[id] == nil {
			ring.ids = append(ring.ids, hex.EncodeToString(id[:]))
		}
		ring.keys[id] = aead
	}
	return ring, nil
}

// Seal encrypts a secret for one endpoint: key id, nonce, ciphertext. It cannot
// be opened for another endpoint or business, whoever may write to the table.
func (k *Keyring) Seal(business models.BusinessID, webhook models.WebhookID, secret []byte) []byte {
	// This AEAD makes its own random nonce and takes none.
	return k.keys[k.first].Seal(k.first[:], nil, secret, binding(business, webhook)) //nolint:gosec // G407: see above
}

// Open decrypts what Seal made for the same endpoint, with whichever key sealed it.
func (k *Keyring) Open(business models.BusinessID, webhook models.WebhookID, ciphertext []byte) ([]byte, error) {
	if len(ciphertext) < keyIDSize {
		return nil, errors.New("webhook: truncated ciphertext")
	}
	aead, known := k.keys[[keyIDSize]byte(ciphertext)]
	if !known {
		return nil, ErrNoKey
	}
	secret, err := aead.Open(nil, nil, ciphertext[keyIDSize:], binding(business, webhook))
	if err != nil {
		return nil, fmt.Errorf("webhook: opening a secret: %w", err)
	}
	return secret, nil
}

// KeyIDs names the keys in the order of the list, the first one first. An id is
// part of a hash: it tells keys apart and says nothing about them.
func (k *Keyring) KeyIDs() []string { return slices.Clone(k.ids) }

// malformedKey stands for the key id of a ciphertext that is too short for one.
const malformedKey = "malformed"

// keyIDOf names the key that a ciphertext was made with.
func keyIDOf(ciphertext []byte) string {
	if len(ciphertext) < keyIDSize {
		return malformedKey
	}
	return hex.EncodeToString(ciphertext[:keyIDSize])
}

// Current reports whether the ciphertext was made with the first key; what was
// not is due for rotation.
func (k *Keyring) Current(ciphertext []byte) bool {
	return len(ciphertext) >= keyIDSize && [keyIDSize]byte(ciphertext) == k.first
}

func keyID(key []byte) [keyIDSize]byte {
	sum := sha256.Sum256(append([]byte("txn webhook secret key id:"), key...))
	return [keyIDSize]byte(sum[:])
}

func binding(business models.BusinessID, webhook models.WebhookID) []byte {
	return append(append(make([]byte, 0, 32), business[:]...), webhook[:]...)
}

// newSecret returns the 32 random bytes of a signing secret.
func newSecret() []byte {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	return secret
}
