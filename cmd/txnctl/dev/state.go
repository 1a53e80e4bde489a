package dev

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/txn-service/txn/pkg/models"
)

const stateName = "state.json"

// state is what a restart needs to find the same demo again. It holds secrets of
// the demo, in a file that only its owner can read.
type state struct {
	path string

	EncryptionKey string            `json:"encryption_key"`
	BusinessID    models.BusinessID `json:"business_id,omitzero"`
	KeyID         models.APIKeyID   `json:"key_id,omitzero"`
	APIKey        string            `json:"api_key,omitempty"`
	Accounts      []string          `json:"accounts,omitempty"`
	WebhookID     string            `json:"webhook_id,omitempty"`
	WebhookSecret string            `json:"webhook_secret,omitempty"`
	WebhookURL    string            `json:"webhook_url,omitempty"`
	// Delivered says that the webhook of the demo's transfer has arrived.
	Delivered bool `json:"delivered,omitempty"`
}

// loadState reads the state of a data directory, or makes a new one.
func loadState(dir string) (*state, error) {
	s := &state{path: filepath.Join(dir, stateName)}
	text, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails since Go 1.24
		s.EncryptionKey = base64.StdEncoding.EncodeToString(key)
		return s, s.save()
	case err != nil:
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("reading %s (start over with --reset): %w", s.path, err)
	}
	return s, nil
}

// save replaces the file in one step: half a state would lose the demo.
func (s *state) save() error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the state: %w", err)
	}
	if err := os.WriteFile(s.path+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("saving the state: %w", err)
	}
	if err := os.Rename(s.path+".new", s.path); err != nil {
		return fmt.Errorf("saving the state: %w", err)
	}
	return nil
}

// forgetTenant makes the next start create everything anew in the database.
func (s *state) forgetTenant() {
	*s = state{path: s.path, EncryptionKey: s.EncryptionKey}
}

func removeState(dir string) error {
	err := os.Remove(filepath.Join(dir, stateName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the state: %w", err)
	}
	return nil
}
