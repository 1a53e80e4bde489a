package ledger

import (
	"context"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// accountOwnerSQL asks for the account in the primary key business by business:
// operators name it by its id alone. LIMIT keeps the planner from making a join
// of it.
const accountOwnerSQL = `SELECT b.id FROM businesses b CROSS JOIN LATERAL (
    SELECT FROM business_accounts a WHERE a.business_id = b.id AND a.id = $1 LIMIT 1) found`

// OwnerOf returns the business of an account, for operators; NotFound for an
// unknown one.
func OwnerOf(ctx context.Context, db *database.DB, id models.AccountID) (models.BusinessID, error) {
	var business models.BusinessID
	err := database.Coded(db.Pool.QueryRow(ctx, accountOwnerSQL, id).Scan(&business))
	if errs.Is(err, errs.NotFound) {
		err = errs.Wrap(err, errs.NotFound, "no account %s", id)
	}
	return business, err
}
