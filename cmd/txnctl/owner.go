package main

import (
	"context"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// Operators name an account, an endpoint or a delivery by its id alone, while every table
// leads with the business. The look-up reads past all tenants, without an index
// that only it would use: it is for single commands of operators.
const (
	accountOwnerSQL  = `SELECT business_id FROM business_accounts WHERE id = $1`
	webhookOwnerSQL  = `SELECT business_id FROM webhooks WHERE id = $1 AND deleted_at IS NULL`
	deliveryOwnerSQL = `SELECT business_id FROM webhook_deliveries WHERE id = $1`
)

// ownerOf returns the business of what has the id, or errs.NotFound.
func ownerOf[P models.Prefix](ctx context.Context, db *database.DB, sql, noun string, id models.ID[P]) (models.BusinessID, error) {
	var business models.BusinessID
	err := database.Coded(db.Pool.QueryRow(ctx, sql, id).Scan(&business))
	if errs.Is(err, errs.NotFound) {
		err = errs.Wrap(err, errs.NotFound, "no %s %s", noun, id)
	}
	return business, err
}
