package apikey

import (
	"slices"
	"strings"

	"github.com/txn-service/txn/pkg/errs"
)

// Scope is a permission that a key may carry.
type Scope string

// The scopes of the API.
const (
	AccountsRead      Scope = "accounts:read"
	AccountsWrite     Scope = "accounts:write"
	TransactionsRead  Scope = "transactions:read"
	TransactionsWrite Scope = "transactions:write"
	WebhooksRead      Scope = "webhooks:read"
	WebhooksWrite     Scope = "webhooks:write"
	// KeysManage lets a key list, issue, rotate and revoke the keys of its business.
	// It can issue itself a key for anything there: the scope of an administrator.
	KeysManage Scope = "keys:manage"
)

// AllScopes returns every scope, in the order in which keys list them.
func AllScopes() []Scope { return append(DefaultScopes(), KeysManage) }

// DefaultScopes returns what a key gets that is asked for without scopes: all
// but KeysManage.
func DefaultScopes() []Scope {
	return []Scope{AccountsRead, AccountsWrite, TransactionsRead, TransactionsWrite, WebhooksRead, WebhooksWrite}
}

// ParseScopes reads scopes, each once and in the order of AllScopes; none at all
// means DefaultScopes. An unknown one is errs.ValidationFailed on the field
// `scopes`, naming it.
func ParseScopes(texts []string) ([]Scope, error) {
	if len(texts) == 0 {
		return DefaultScopes(), nil
	}
	known := AllScopes()
	asked := make(map[Scope]bool, len(known))
	var v errs.Validation
	for _, text := range texts {
		scope := Scope(text)
		if !slices.Contains(known, scope) {
			v.Add("scopes", "%q is not a scope; the scopes are %s", text, strings.Join(scopeTexts(known), ", "))
			break // one bad scope says it all, and bounds the answer to a long list of them
		}
		asked[scope] = true
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(known, func(s Scope) bool { return !asked[s] }), nil
}

func scopeTexts(scopes []Scope) []string {
	texts := make([]string, len(scopes))
	for i, s := range scopes {
		texts[i] = string(s)
	}
	return texts
}
