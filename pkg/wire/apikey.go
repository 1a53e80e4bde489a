package wire

import "github.com/txn-service/txn/pkg/models"

// APIKey is a credential. Key is set only in the answer that issues it.
type APIKey struct {
	ID         models.APIKeyID `json:"id"`
	Name       string          `json:"name"`
	Prefix     string          `json:"prefix"`
	Scopes     []string        `json:"scopes"`
	Key        string          `json:"key,omitzero"`
	ExpiresAt  *Time           `json:"expires_at"`
	LastUsedAt *Time           `json:"last_used_at"`
	RevokedAt  *Time           `json:"revoked_at"`
	CreatedAt  Time            `json:"created_at"`
}

// NewAPIKey converts a row.
func NewAPIKey(k models.APIKey) APIKey {
	return APIKey{
		ID: k.ID, Name: k.Name, Prefix: k.Prefix, Scopes: k.Scopes,
		ExpiresAt: timeOrNil(k.ExpiresAt), LastUsedAt: timeOrNil(k.LastUsedAt), RevokedAt: timeOrNil(k.RevokedAt),
		CreatedAt: Time(k.CreatedAt),
	}
}
