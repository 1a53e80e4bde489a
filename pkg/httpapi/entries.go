package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// listEntries answers GET /v1/accounts/{id}/entries: the statement, newest
// first, a page of JSON or, as the Accept header asks, all of it as CSV or
// NDJSON.
func (a *API) listEntries(c *gin.Context) error {
	id, err := pathID[models.AccountPrefix](c, "id")
	if err != nil {
		return err
	}
	if format := exportFormat(c.Request); format != nil {
		if err := noQuery(c); err != nil {
			return err
		}
		return a.exportEntries(c, id, format)
	}
	q := newQuery(c.Request)
	p, below := pageBySequence(q, "entries/"+id.String())
	if err := q.Err(); err != nil {
		return err
	}
	entries, err := a.entries(c, id, orZero(below), p.Limit+1)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newList(p, entries, wire.NewStatementEntry,
		func(e models.Entry) []byte { return positionSequence(e.Sequence) }))
}

// entries reads a part of the statement. The route streams and so has no deadline
// of its own; each read has.
func (a *API) entries(c *gin.Context, id models.AccountID, below int64, limit int) ([]models.Entry, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), requestTimeout)
	defer cancel()
	return a.Ledger.Entries(ctx, businessOf(c), id, below, limit)
}
