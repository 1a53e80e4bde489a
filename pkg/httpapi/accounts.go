package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
	"github.com/txn-service/txn/pkg/wire"
)

const scopeCreateAccount models.IdempotencyScope = "account.create"

// newAccount is the body of POST /v1/accounts.
type newAccount struct {
	Keyed
	Name string `json:"name"`
	// Currency defaults to the business's.
	Currency  *string `json:"currency"`
	Reference *string `json:"reference"`
	// OverdraftLimit defaults to 0; null is without limit.
	OverdraftLimit optional[amount] `json:"overdraft_limit,omitzero"`
	Metadata       pairs            `json:"metadata"`
}

func (b *newAccount) toLedger() ledger.NewAccount {
	in := ledger.NewAccount{Name: b.Name, Reference: b.Reference, OverdraftLimit: new(int64), Metadata: models.Metadata(b.Metadata)}
	if b.OverdraftLimit.Given {
		in.OverdraftLimit = (*int64)(b.OverdraftLimit.Value)
	}
	if b.Currency != nil {
		in.Currency = *b.Currency
	}
	return in
}

// createAccount answers POST /v1/accounts.
func (a *API) createAccount(c *gin.Context) error {
	var body newAccount
	if err := decode(c, &body); err != nil {
		return err
	}
	return a.once(c, scopeCreateAccount, &body, func(tx *gorm.DB) (idempotency.Answer, error) {
		in := body.toLedger()
		in.Actor = actorOf(c)
		if body.Currency == nil {
			business, err := tenant.Get(c.Request.Context(), tx, businessOf(c))
			if err != nil {
				return idempotency.Answer{}, err
			}
			in.Currency = business.DefaultCurrency
		}
		account, err := ledger.CreateAccount(tx, businessOf(c), in)
		if err != nil {
			return idempotency.Answer{}, err
		}
		return answer(http.StatusCreated, wire.NewAccount(account))
	})
}

// showAccount answers GET /v1/accounts/{id}.
func (a *API) showAccount(c *gin.Context) error {
	id, err := pathID[models.AccountPrefix](c, "id")
	if err != nil {
		return err
	}
	account, err := a.Ledger.Account(c.Request.Context(), businessOf(c), id)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, wire.NewAccount(account))
}

// listAccounts answers GET /v1/accounts.
func (a *API) listAccounts(c *gin.Context) error {
	q := newQuery(c.Request)
	p, after := pageByID[models.AccountPrefix](q, "accounts")
	filter := ledger.AccountFilter{
		Status: models.AccountStatus(orZero(q.oneOf("status",
			string(models.AccountActive), string(models.AccountFrozen), string(models.AccountClosed)))),
		Currency:  orZero(q.text("currency")),
		Reference: orZero(q.text("reference")),
	}
	if err := q.Err(); err != nil {
		return err
	}
	accounts, err := a.Ledger.Accounts(c.Request.Context(), businessOf(c), filter, orZero(after), p.Limit+1)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newList(p, accounts, wire.NewAccount,
		func(a models.Account) []byte { return positionID(a.ID) }))
}

// accountChange is the body of PATCH /v1/accounts/{id}.
type accountChange struct {
	Name           required[string]               `json:"name,omitzero"`
	Status         required[models.AccountStatus] `json:"status,omitzero"`
	Reference      optional[string]               `json:"reference,omitzero"`
	OverdraftLimit optional[amount]               `json:"overdraft_limit,omitzero"`
	Metadata       optional[pairs]                `json:"metadata,omitzero"`
}

func (b *accountChange) toLedger() ledger.AccountChange {
	change := ledger.AccountChange{Name: b.Name.Value, Status: b.Status.Value}
	if b.Reference.Given {
		change.Reference = &b.Reference.Value
	}
	if b.OverdraftLimit.Given {
		limit := (*int64)(b.OverdraftLimit.Value)
		change.OverdraftLimit = &limit
	}
	if b.Metadata.Given {
		metadata := models.Metadata(orZero(b.Metadata.Value))
		change.Metadata = &metadata
	}
	return change
}

// updateAccount answers PATCH /v1/accounts/{id}.
func (a *API) updateAccount(c *gin.Context) error {
	id, err := pathID[models.AccountPrefix](c, "id")
	if err != nil {
		return err
	}
	var body accountChange
	if err := decode(c, &body); err != nil {
		return err
	}
	change := body.toLedger()
	change.Actor = actorOf(c)
	account, err := a.Ledger.UpdateAccount(c.Request.Context(), businessOf(c), id, change)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, wire.NewAccount(account))
}

// orZero is what a pointer points to, or the zero value.
func orZero[T any](value *T) T {
	if value == nil {
		var zero T
		return zero
	}
	return *value
}
