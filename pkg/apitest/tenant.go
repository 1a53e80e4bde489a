package apitest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/disclosure"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
)

// Operator is who the kit acts as in the audit log.
const Operator = audit.Actor("operator:apitest")

// Tenant is a business with a key that carries the default scopes.
type Tenant struct {
	Business models.BusinessID
	Key      string
}

// NewTenant creates a business and a key.
func (a *API) NewTenant(tb testing.TB) Tenant {
	tb.Helper()
	var business models.Business
	require.NoError(tb, a.DB.InTx(tb.Context(), func(tx *gorm.DB) (err error) {
		business, err = tenant.Create(tb.Context(), tx, Operator, tenant.New{Name: "Acme"})
		return err
	}))
	return Tenant{Business: business.ID, Key: a.IssueKey(tb, business.ID)}
}

// IssueKey returns a new key of the business; without scopes it has the default
// ones.
func (a *API) IssueKey(tb testing.TB, business models.BusinessID, scopes ...apikey.Scope) string {
	tb.Helper()
	var issued apikey.Issued
	require.NoError(tb, a.DB.InTx(tb.Context(), func(tx *gorm.DB) (err error) {
		issued, err = apikey.Issue(tb.Context(), tx, Operator, business, apikey.New{Name: "test", Scopes: scopes})
		return err
	}))
	require.NoError(tb, disclosure.Record(issued.Secret))
	return issued.Secret
}
