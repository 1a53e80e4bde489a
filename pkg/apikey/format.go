package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
)

const (
	keyPrefix      = "txn_"
	randomLength   = 32 // of 62 symbols: 190 bits
	checksumLength = 6  // 62^6 > 2^32
	bodyLength     = len(keyPrefix) + randomLength
	keyLength      = bodyLength + checksumLength
	// displayLength leaves 28 random characters, 166 bits, unknown to whoever
	// sees the prefix of a key.
	displayLength = len(keyPrefix) + 4
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// hash is the SHA-256 of a key: what is stored, looked up and cached.
type hash [sha256.Size]byte

func hashOf(key string) hash {
	var text [keyLength]byte // a copy on the stack: converting the string would allocate
	copy(text[:], key)
	return sha256.Sum256(text[:])
}

// generate returns a new key.
func generate() string {
	key := make([]byte, 0, keyLength)
	key = append(key, keyPrefix...)
	for len(key) < bodyLength {
		var random [64]byte
		_, _ = rand.Read(random[:]) // never fails since Go 1.24
		for _, b := range random {
			// 248 = 4 · 62: the bytes above it would make some symbols likelier.
			if b < 248 && len(key) < bodyLength {
				key = append(key, base62[b%62])
			}
		}
	}
	sum := checksum(key)
	return string(append(key, sum[:]...))
}

func checksum(body []byte) [checksumLength]byte {
	var sum [checksumLength]byte
	rest := crc32.ChecksumIEEE(body)
	for i := checksumLength - 1; i >= 0; i-- {
		sum[i] = base62[rest%62]
		rest /= 62
	}
	return sum
}

// wellFormed reports whether key has the form and the checksum of a key.
func wellFormed(key string) bool {
	if len(key) != keyLength || key[:len(keyPrefix)] != keyPrefix {
		return false
	}
	for i := len(keyPrefix); i < keyLength; i++ {
		if !isBase62(key[i]) {
			return false
		}
	}
	var body [bodyLength]byte
	copy(body[:], key)
	sum := checksum(body[:])
	return string(sum[:]) == key[bodyLength:]
}

func isBase62(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// display is the beginning of a key, enough to recognise it in a list.
func display(key string) string { return key[:displayLength] }
