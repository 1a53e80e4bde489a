package devstack

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// newPassword returns 32 random base32 characters (160 bits): nothing that a URL would have to escape.
func newPassword() string { return rand.Text() + rand.Text()[:6] }

// scramVerifier returns what PostgreSQL stores of a password for SCRAM-SHA-256 (RFC 5802), with one iteration. The
// usual 4096 slow down guesses of weak passwords; against 160 random bits they would only cost every connection of
// the tests some milliseconds of two CPUs.
func scramVerifier(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)                                    // never fails
	salted := mac([]byte(password), append(salt, 0, 0, 0, 1)) // PBKDF2 with one iteration
	clientKey := mac(salted, []byte("Client Key"))
	storedKey := sha256.Sum256(clientKey)
	serverKey := mac(salted, []byte("Server Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$1:%s$%s:%s", encode(salt), encode(storedKey[:]), encode(serverKey))
}

func mac(key, message []byte) []byte {
	sum := hmac.New(sha256.New, key)
	sum.Write(message)
	return sum.Sum(nil)
}
