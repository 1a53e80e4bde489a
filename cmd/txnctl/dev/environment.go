package dev

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// environmentFile is what a shell reads to use the demo.
func (d *stack) environmentFile() string { return filepath.Join(d.DataDir, "env.sh") }

// saveEnvironment writes what the examples of the documents and txnctl need to know
// of the demo as variables, so that a reader copies one line instead of six. They
// hold secrets of the demo, in a file that only its owner can read.
func (d *stack) saveEnvironment() error {
	var text strings.Builder
	for _, variable := range [][2]string{
		{"API", clientURL(d.listen)},
		{"KEY", d.state.APIKey},
		{"ALICE", d.state.Accounts[0]},
		{"BOB", d.state.Accounts[1]},
		{"TXN_API_KEY", d.state.APIKey},
		{"TXN_DATABASE_URL", d.databaseURL},
		{"TXN_REDIS_URL", d.redisURL},
		{"TXN_SECURITY_ENCRYPTION_KEYS", d.state.EncryptionKey},
		{"TXN_RATE_LIMIT_PER_IP", d.RateLimit},
		{"TXN_WEBHOOKS_ALLOW_INSECURE", "true"},
	} {
		fmt.Fprintf(&text, "export %s=%s\n", variable[0], quote(variable[1]))
	}
	if err := os.WriteFile(d.environmentFile(), []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("saving the environment: %w", err)
	}
	return nil
}

// quote makes one word of a text for a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
