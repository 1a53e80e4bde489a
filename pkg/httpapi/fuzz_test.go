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
