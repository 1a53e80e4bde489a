package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// showBalance answers GET /v1/accounts/{id}/balance: now, or with `at` as it was
// after the last entry at or before that moment.
func (a *API) showBalance(c *gin.Context) error {
	q := newQuery(c.Request)
	at := q.time("at")
	if err := q.Err(); err != nil {
		return err
	}
	id, err := pathID[models.AccountPrefix](c, "id")
	if err != nil {
		return err
	}
	account, err := a.Ledger.Account(c.Request.Context(), businessOf(c), id)
	if err != nil {
		return err
	}
	if at == nil {
		return respond(c, http.StatusOK, wire.NewBalance(account))
	}
	balance, err := a.Ledger.BalanceAt(c.Request.Context(), businessOf(c), id, *at)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, wire.NewPastBalance(account, balance, *at))
}
