package wire

import "github.com/txn-service/txn/pkg/models"

// Hold is money set aside on an account, in minor units.
type Hold struct {
	ID                   models.HoldID     `json:"id"`
	AccountID            models.AccountID  `json:"account_id"`
	DestinationAccountID *models.AccountID `json:"destination_account_id"`
	Amount               int64             `json:"amount"`
	CapturedAmount       int64             `json:"captured_amount"`
	Currency             string            `json:"currency"`
	Status               models.HoldStatus `json:"status"`
	Description          *string           `json:"description"`
	Metadata             map[string]string `json:"metadata"`
	// ExpiresAt is null when the hold does not expire.
	ExpiresAt *Time `json:"expires_at"`
	CreatedAt Time  `json:"created_at"`
	UpdatedAt Time  `json:"updated_at"`
}

// NewHold converts a row.
func NewHold(h models.Hold) Hold {
	return Hold{
		ID: h.ID, AccountID: h.AccountID, DestinationAccountID: h.DestinationAccountID,
		Amount: h.Amount, CapturedAmount: h.CapturedAmount, Currency: h.Currency, Status: h.Status,
		Description: h.Description, Metadata: metadata(h.Metadata), ExpiresAt: timeOrNil(h.ExpiresAt),
		CreatedAt: Time(h.CreatedAt), UpdatedAt: Time(h.UpdatedAt),
	}
}
