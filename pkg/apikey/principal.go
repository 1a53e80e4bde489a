package apikey

import (
	"slices"

	"github.com/txn-service/txn/pkg/models"
)

// Principal is who makes a request: a business, by one of its keys. It is shared
// between requests and must not be changed.
type Principal struct {
	BusinessID models.BusinessID
	KeyID      models.APIKeyID
	Scopes     []Scope
}

// Allows reports whether the key carries the scope.
func (p *Principal) Allows(scope Scope) bool { return slices.Contains(p.Scopes, scope) }
