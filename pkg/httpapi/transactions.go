package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// newTransaction is the body of POST /v1/transactions.
type newTransaction struct {
	Keyed
	Type                 models.TransactionType `json:"type"`
	Amount               amount                 `json:"amount"`
	Currency             *string                `json:"currency"`
	SourceAccountID      bodyAccountID          `json:"source_account_id"`
	DestinationAccountID bodyAccountID          `json:"destination_account_id"`
	Description          *string                `json:"description"`
	Reference            *string                `json:"reference"`
	Metadata             pairs                  `json:"metadata"`
	EffectiveAt          *string                `json:"effective_at"`
	Conditions           conditions             `json:"conditions"`
}

// conditions are optimistic guards, judged under the source account's lock.
type conditions struct {
	SourceVersion         *amount `json:"source_version"`
	SourceMinBalanceAfter *amount `json:"source_min_balance_after"`
}

func (b *newTransaction) toLedger() (ledger.Post, error) {
	post := ledger.Post{
		Type: b.Type, Amount: int64(b.Amount), Currency: orZero(b.Currency),
		Description: b.Description, Reference: b.Reference, Metadata: models.Metadata(b.Metadata),
		Conditions: ledger.Conditions{
			SourceVersion:         (*int64)(b.Conditions.SourceVersion),
			SourceMinBalanceAfter: (*int64)(b.Conditions.SourceMinBalanceAfter),
		},
	}
	var err error
	if post.Source, err = b.SourceAccountID.read("source_account_id"); err != nil {
		return post, err
	}
	if post.Destination, err = b.DestinationAccountID.read("destination_account_id"); err != nil {
		return post, err
	}
	if err := checkCurrency(b.Currency); err != nil {
		return post, err
	}
	at, err := parseTime("effective_at", b.EffectiveAt)
	post.EffectiveAt = at
	return post, err
}

// parseTime reads an optional RFC 3339 time of a body.
func parseTime(field string, text *string) (*time.Time, error) {
	if text == nil {
		return nil, nil
	}
	at, err := wire.ParseTime(*text)
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		return nil, errs.Invalid(field, "must be a time in RFC 3339, such as 2026-01-31T12:00:00Z")
	}
	at = at.Truncate(time.Microsecond)
	return &at, nil
}

// createTransaction answers POST /v1/transactions: 201 once the movement is
// committed, 200 for a dry run.
func (a *API) createTransaction(c *gin.Context) error {
	q := newQuery(c.Request)
	dryRun := q.boolean("dry_run")
	if err := q.Err(); err != nil {
		return err
	}
	var body newTransaction
	if err := decode(c, &body); err != nil {
		return err
	}
	key, err := takeKey(c, body.key())
	if err != nil {
		return err
	}
	post, err := body.toLedger()
	if err != nil {
		return err
	}
	post.IdempotencyKey, post.DryRun = key, dryRun
	status := http.StatusCreated
	if dryRun {
		status = http.StatusOK
	}
	result, err := a.Ledger.Post(c.Request.Context(), businessOf(c), post)
	return respondResult(c, status, result, err)
}

// respondResult answers with what the ledger answered.
func respondResult(c *gin.Context, status int, result ledger.Result, err error) error {
	if err != nil {
		return err
	}
	if result.Replayed {
		markReplayed(c)
	}
	return respondEncoded(c, status, result.Body)
}

// showTransaction answers GET /v1/transactions/{id}.
func (a *API) showTransaction(c *gin.Context) error {
	id, err := pathID[models.TransactionPrefix](c, "id")
	if err != nil {
		return err
	}
	transaction, err := a.Ledger.Transaction(c.Request.Context(), businessOf(c), id)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, transaction)
}

// listTransactions answers GET /v1/transactions.
func (a *API) listTransactions(c *gin.Context) error {
	q := newQuery(c.Request)
	account := queryID[models.AccountPrefix](q, "account_id")
	// The order of an account's list is that of its entries.
	list := "transactions"
	if account != nil {
		list += "/" + account.String()
	}
	p, after := pageByID[models.TransactionPrefix](q, list)
	reverses, hold := queryID[models.TransactionPrefix](q, "reverses_transaction_id"), queryID[models.HoldPrefix](q, "hold_id")
	filter := ledger.TransactionFilter{
		Reverses: orZero(reverses), Hold: orZero(hold),
		Account: orZero(account),
		Type: models.TransactionType(orZero(q.oneOf("type",
			string(models.Credit), string(models.Debit), string(models.Transfer)))),
		Reference:      orZero(q.text("reference")),
		IdempotencyKey: orZero(q.text("idempotency_key")),
		CreatedAfter:   q.time("created_after"),
		CreatedBefore:  q.time("created_before"),
		Metadata:       q.metadata(),
	}
	if err := q.Err(); err != nil {
		return err
	}
	if err := a.requireFilters(c, account, reverses, hold); err != nil {
		return err
	}
	transactions, err := a.Ledger.Transactions(c.Request.Context(), businessOf(c), filter, orZero(after), p.Limit+1)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newList(p, transactions,
		func(t wire.Transaction) wire.Transaction { return t },
		func(t wire.Transaction) []byte { return positionID(t.ID) }))
}

// requireFilters answers filters by what the business does not have as the things
// themselves would be answered.
func (a *API) requireFilters(c *gin.Context, account *models.AccountID, reverses *models.TransactionID, hold *models.HoldID) error {
	if err := a.requireAccount(c, account); err != nil {
		return err
	}
	if reverses != nil {
		if _, err := a.Ledger.Transaction(c.Request.Context(), businessOf(c), *reverses); err != nil {
			return err
		}
	}
	if hold != nil {
		if _, err := a.Ledger.Hold(c.Request.Context(), businessOf(c), *hold); err != nil {
			return err
		}
	}
	return nil
}

// requireAccount answers a filter by an account that the business does not have
// as the account itself would be answered; no filter is none.
func (a *API) requireAccount(c *gin.Context, id *models.AccountID) error {
	if id == nil {
		return nil
	}
	_, err := a.Ledger.Account(c.Request.Context(), businessOf(c), *id)
	return err
}
