package apitest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/disclosure"
	"github.com/txn-service/txn/pkg/telemetry"
)

// requireDiscretion fails the test if the API has put a secret into its log or its
// metrics.
func (a *API) requireDiscretion(tb testing.TB) {
	tb.Helper()
	require.Empty(tb, disclosure.In(a.log.String()), "the log tells secrets")
	scrape := httptest.NewRecorder()
	telemetry.Handler(a.Metrics).ServeHTTP(scrape, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", http.NoBody))
	require.Equal(tb, http.StatusOK, scrape.Code)
	require.Empty(tb, disclosure.In(scrape.Body.String()), "the metrics tell secrets")
}

// heed learns the secrets that an answer gives, which one that reports a failure
// must not do. It may be called from any goroutine.
func (r *Response) heed(tb testing.TB) {
	tb.Helper()
	if r.Status >= http.StatusBadRequest {
		if found := disclosure.In(string(r.Body)); len(found) > 0 {
			tb.Errorf("an answer with status %d tells secrets: %v", r.Status, found)
		}
		return
	}
	if err := disclosure.Learn(string(r.Body)); err != nil {
		tb.Errorf("recording a secret: %v", err)
	}
}
