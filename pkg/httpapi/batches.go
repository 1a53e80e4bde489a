package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/txn-service/txn/pkg/httpapi/middleware"
	"github.com/txn-service/txn/pkg/httpapi/problem"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/wire"
)

// newBatch is the body of POST /v1/transactions/batch.
type newBatch struct {
	Keyed
	// Atomic defaults to true. Null, by which a program may mean false, is refused.
	Atomic       required[bool] `json:"atomic,omitzero"`
	Transactions batchItems     `json:"transactions"`
}

// tooManyItems is what the ledger says too, to those that it sees.
var tooManyItems = fmt.Sprintf("must have at most %d items", ledger.MaxBatchItems)

// batchItem is what became of one item of an independent batch.
type batchItem struct {
	Status      int               `json:"status"`
	Transaction jsontext.Value    `json:"transaction,omitzero"`
	Error       *problem.Document `json:"error,omitzero"`
}

type independentAnswer struct {
	Data []batchItem `json:"data"`
}

// createBatch answers POST /v1/transactions/batch: 201 with all transactions of
// an atomic batch, 200 with a result per item of an independent one.
func (a *API) createBatch(c *gin.Context) error {
	var body newBatch
	if err := decodeWithin(c, maxBatchBody, &body); err != nil {
		return err
	}
	key, err := takeKey(c, body.key())
	if err != nil {
		return err
	}
	batch := ledger.Batch{Atomic: body.Atomic.Value == nil || *body.Atomic.Value, IdempotencyKey: key, Refused: map[int]error{}}
	batch.Items = make([]ledger.Post, len(body.Transactions))
	for i := range body.Transactions {
		if batch.Items[i], err = body.Transactions[i].item(); err != nil {
			batch.Refused[i] = err
		}
	}
	status := http.StatusCreated
	batch.Render = renderAtomic
	if !batch.Atomic {
		status = http.StatusOK
		batch.Render = renderIndependent(middleware.ExchangeOf(c).RequestID)
	}
	result, err := a.Ledger.PostBatch(c.Request.Context(), businessOf(c), batch)
	var item *ledger.ItemError
	if errors.As(err, &item) {
		err = &problem.ItemError{Index: item.Index, Err: item.Err}
	}
	return respondResult(c, status, result, err)
}

// item is a transaction of a batch; its key may only stand in its body.
func (b *newTransaction) item() (ledger.Post, error) {
	post, err := b.toLedger()
	if err != nil || b.IdempotencyKey == nil {
		return post, err
	}
	post.IdempotencyKey = *b.IdempotencyKey
	return post, checkKey(idempotencyField, post.IdempotencyKey)
}

// renderAtomic joins the transactions, which are encoded already.
func renderAtomic(results []ledger.ItemResult) (int, []byte, error) {
	size := len(results) + len(`{"data":[]}`)
	for _, r := range results {
		size += len(r.Body)
	}
	body := append(make([]byte, 0, size), `{"data":[`...)
	for i, r := range results {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, r.Body...)
	}
	return http.StatusCreated, append(body, "]}"...), nil
}

func renderIndependent(requestID string) func([]ledger.ItemResult) (int, []byte, error) {
	return func(results []ledger.ItemResult) (int, []byte, error) {
		answer := independentAnswer{Data: make([]batchItem, len(results))}
		for i, r := range results {
			answer.Data[i] = batchItem{Status: http.StatusCreated, Transaction: r.Body}
			if r.Err != nil {
				document := problem.New(r.Err, requestID)
				answer.Data[i] = batchItem{Status: document.Status, Error: &document}
			}
		}
		body, err := wire.Marshal(answer)
		return http.StatusOK, body, err
	}
}
