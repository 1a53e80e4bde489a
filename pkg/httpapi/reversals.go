package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// reversal is the body of POST /v1/transactions/{id}/reverse; it may be left
// out.
type reversal struct {
	Keyed
	// Amount defaults to all that is left. Null, by which a program may mean
	// nothing, is refused rather than read as all.
	Amount      required[amount] `json:"amount,omitzero"`
	Description *string          `json:"description"`
	Reference   *string          `json:"reference"`
	Metadata    pairs            `json:"metadata"`
}

// reverseTransaction answers POST /v1/transactions/{id}/reverse with the new
// transaction.
func (a *API) reverseTransaction(c *gin.Context) error {
	id, err := pathID[models.TransactionPrefix](c, "id")
	if err != nil {
		return err
	}
	var body reversal
	if err := decodeOptional(c, &body); err != nil {
		return err
	}
	key, err := takeKey(c, body.key())
	if err != nil {
		return err
	}
	result, err := a.Ledger.Reverse(c.Request.Context(), businessOf(c), ledger.Reverse{
		Transaction: id, Amount: (*int64)(body.Amount.Value), Description: body.Description,
		Reference: body.Reference, Metadata: models.Metadata(body.Metadata), IdempotencyKey: key,
	})
	return respondResult(c, http.StatusCreated, result, err)
}
