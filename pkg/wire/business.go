package wire

import "github.com/txn-service/txn/pkg/models"

// Business is a tenant as its own API shows it.
type Business struct {
	ID              models.BusinessID     `json:"id"`
	Name            string                `json:"name"`
	Status          models.BusinessStatus `json:"status"`
	DefaultCurrency string                `json:"default_currency"`
	Metadata        map[string]string     `json:"metadata"`
	CreatedAt       Time                  `json:"created_at"`
	UpdatedAt       Time                  `json:"updated_at"`
}

// NewBusiness converts a row.
func NewBusiness(b models.Business) Business {
	return Business{
		ID: b.ID, Name: b.Name, Status: b.Status, DefaultCurrency: b.DefaultCurrency,
		Metadata: metadata(b.Metadata), CreatedAt: Time(b.CreatedAt), UpdatedAt: Time(b.UpdatedAt),
	}
}
