package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// newHold is the body of POST /v1/holds.
type newHold struct {
	Keyed
	AccountID            bodyAccountID `json:"account_id"`
	DestinationAccountID bodyAccountID `json:"destination_account_id"`
	Amount               amount        `json:"amount"`
	Currency             *string       `json:"currency"`
	ExpiresAt            *string       `json:"expires_at"`
	Description          *string       `json:"description"`
	Metadata             pairs         `json:"metadata"`
}

// createHold answers POST /v1/holds.
func (a *API) createHold(c *gin.Context) error {
	var body newHold
	if err := decode(c, &body); err != nil {
		return err
	}
	key, err := takeKey(c, body.key())
	if err != nil {
		return err
	}
	account, err := body.AccountID.read("account_id")
	if err != nil {
		return err
	}
	destination, err := body.DestinationAccountID.read("destination_account_id")
	if err != nil {
		return err
	}
	if err := checkCurrency(body.Currency); err != nil {
		return err
	}
	expires, err := parseTime("expires_at", body.ExpiresAt)
	if err != nil {
		return err
	}
	result, err := a.Ledger.CreateHold(c.Request.Context(), businessOf(c), ledger.NewHold{
		Account: account, Destination: destination,
		Amount: int64(body.Amount), Currency: orZero(body.Currency),
		Description: body.Description, Metadata: models.Metadata(body.Metadata), ExpiresAt: expires, IdempotencyKey: key,
	})
	return respondResult(c, http.StatusCreated, result, err)
}

// showHold answers GET /v1/holds/{id}.
func (a *API) showHold(c *gin.Context) error {
	id, err := pathID[models.HoldPrefix](c, "id")
	if err != nil {
		return err
	}
	hold, err := a.Ledger.Hold(c.Request.Context(), businessOf(c), id)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, wire.NewHold(hold))
}

// listHolds answers GET /v1/holds.
func (a *API) listHolds(c *gin.Context) error {
	q := newQuery(c.Request)
	p, after := pageByID[models.HoldPrefix](q, "holds")
	account := queryID[models.AccountPrefix](q, "account_id")
	filter := ledger.HoldFilter{
		Account: orZero(account),
		Status: models.HoldStatus(orZero(q.oneOf("status", string(models.HoldPending), string(models.HoldCaptured),
			string(models.HoldVoided), string(models.HoldExpired)))),
	}
	if err := q.Err(); err != nil {
		return err
	}
	if err := a.requireAccount(c, account); err != nil {
		return err
	}
	holds, err := a.Ledger.Holds(c.Request.Context(), businessOf(c), filter, orZero(after), p.Limit+1)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newList(p, holds, wire.NewHold,
		func(h models.Hold) []byte { return positionID(h.ID) }))
}

// capture is the body of POST /v1/holds/{id}/capture; it may be left out.
type capture struct {
	Keyed
	// Amount defaults to all that is left. Null, by which a program may mean
	// nothing, is refused rather than read as all.
	Amount required[amount] `json:"amount,omitzero"`
	// Final gives what is left after the capture back.
	Final required[bool] `json:"final,omitzero"`
}

// captureHold answers POST /v1/holds/{id}/capture with the transaction.
func (a *API) captureHold(c *gin.Context) error {
	id, err := pathID[models.HoldPrefix](c, "id")
	if err != nil {
		return err
	}
	var body capture
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	key, err := takeKey(c, body.key())
	if err != nil {
		return err
	}
	result, err := a.Ledger.Capture(c.Request.Context(), businessOf(c), ledger.Capture{
		Hold: id, Amount: (*int64)(body.Amount.Value), Final: orZero(body.Final.Value), IdempotencyKey: key,
	})
	return respondResult(c, http.StatusCreated, result, err)
}

// voidHold answers POST /v1/holds/{id}/void with the hold.
func (a *API) voidHold(c *gin.Context) error {
	id, err := pathID[models.HoldPrefix](c, "id")
	if err != nil {
		return err
	}
	var body Keyed
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	key, err := takeKey(c, body.key())
	if err != nil {
		return err
	}
	result, err := a.Ledger.Void(c.Request.Context(), businessOf(c), ledger.Void{Hold: id, IdempotencyKey: key})
	return respondResult(c, http.StatusOK, result, err)
}

// checkCurrency refuses an empty currency, which the ledger would read as none.
func checkCurrency(currency *string) error {
	if currency != nil && *currency == "" {
		return errs.Invalid("currency", "must be an ISO 4217 code")
	}
	return nil
}
