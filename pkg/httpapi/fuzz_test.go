package httpapi

import (
	stdjson "encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/ledger"
)

// What is accepted is JSON to everybody, and what is refused says why.
func FuzzDecodeBody(f *testing.F) {
	for _, seed := range []string{
		`{"type":"transfer","amount":1250,"source_account_id":"acct_01h455vb4pex5vsknk084sn02q","metadata":{"a":"b"}}`,
		`{"type":"credit","amount":1e2}`, `{"amount":9223372036854775808}`, `{"amount":1,"amount":2}`, `{"Amount":1}`, `null`, `[]`, ``,
		`{"amount":1}{}`, `{"metadata":{"a":null}}`, "{\"description\":\"\xff\"}", `{"conditions":{"source_version":-0}}`,
		strings.Repeat(`{"metadata":`, 100), strings.Repeat("[", 20_000), `{"idempotency_key":"\u0000"}`, `{"amount":1.0}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
		c.Request.Header.Set("Content-Type", "application/json")
		var into newTransaction
		err := decode(c, &into)
		if err == nil {
			var object map[string]any
			require.NoError(t, stdjson.Unmarshal(body, &object), "another reader cannot read what was accepted")
			if written, given := object["amount"]; given {
				require.NotContains(t, string(body), `"amount":null`)
				require.InDelta(t, written, float64(into.Amount), 1e3*max(1, float64(into.Amount)/1e15))
			}
			_, err = into.toLedger()
		}
		if err != nil {
			coded := errs.As(err)
			require.NotNil(t, coded, "%v", err)
			require.Contains(t, []errs.Code{errs.InvalidRequest, errs.ValidationFailed, errs.NotFound, errs.BodyTooLarge}, coded.Code)
		}
	})
}

// A cursor has one spelling, and stands for a position of its own list.
func FuzzCursor(f *testing.F) {
	f.Add("accounts", encodeCursor("accounts", []byte("0123456789abcdef")))
	f.Add("holds", encodeCursor("accounts", []byte("0123456789abcdef")))
	f.Add("accounts", "")
	f.Add("accounts", "AQAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, list, cursor string) {
		const size = 16
		position, ok := decodeCursor(list, cursor, size)
		if !ok {
			return
		}
		require.Len(t, position, size)
		require.Equal(t, cursor, encodeCursor(list, position))
	})
}

// However a batch is written, no more is read of it than a batch may have.
func FuzzDecodeBatch(f *testing.F) {
	item := `{"type":"credit","amount":1,"destination_account_id":"acct_01h455vb4pex5vsknk084sn02q"}`
	for _, seed := range []string{
		`{"transactions":[` + item + `,` + item + `]}`, `{"atomic":false,"transactions":[{},null]}`, `{"transactions":null}`, `{"transactions":{}}`,
		`{"transactions":[` + strings.Repeat(`{},`, 1000) + `{}]}`, `{"transactions":[` + strings.Repeat(`{},`, 999) + `{}`,
		`{"transactions":[{"metadata":{` + manyPairs(101) + `}}]}`, `{"transactions":[],"transactions":[]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
		c.Request.Header.Set("Content-Type", "application/json")
		var into newBatch
		err := decodeWithin(c, maxBatchBody, &into)
		require.LessOrEqual(t, len(into.Transactions), ledger.MaxBatchItems)
		for _, item := range into.Transactions {
			require.LessOrEqual(t, len(item.Metadata), maxPairs)
		}
		if err != nil {
			require.Contains(t, []errs.Code{errs.InvalidRequest, errs.ValidationFailed, errs.BodyTooLarge}, errs.CodeOf(err), "%v", err)
			return
		}
		var object struct{ Transactions []stdjson.RawMessage }
		require.NoError(t, stdjson.Unmarshal(body, &object))
		require.Len(t, into.Transactions, len(object.Transactions))
	})
}
