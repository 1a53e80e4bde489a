package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/httpapi"
)

// BenchmarkOverhead measures everything around a movement but the ledger: the
// middleware, authentication, the strict body and the answer.
func BenchmarkOverhead(b *testing.B) {
	api := apitest.New(b, apitest.Options{PerIP: "1000000000-H"})
	answer := []byte(`{"id":"txn_01h455vb4pex5vsknk084sn02q","type":"transfer","amount":1250}`)
	api.Handler().Mount("POST", "/v1/overhead", apikey.TransactionsWrite, func(c *gin.Context) error {
		return httpapi.ReadTransaction(c, answer)
	})
	const body = `{"type":"transfer","amount":1250,"currency":"USD","source_account_id":"acct_01h455vb4pex5vsknk084sn02q",` +
		`"destination_account_id":"acct_01h455vb4pex5vsknk084sn02r","reference":"order-1","metadata":{"order":"1"}}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/overhead", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+api.Key)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "0123456789")
		w := httptest.NewRecorder()
		api.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusCreated {
			text, _ := io.ReadAll(w.Body)
			b.Fatalf("%d: %s", w.Code, text)
		}
	}
}
