package apitest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest/contract"
	"github.com/txn-service/txn/pkg/httpapi"
)

// loaded is the API's OpenAPI document, read once per test binary.
var loaded = sync.OnceValues(func() (*contract.Contract, error) { return contract.Load(httpapi.OpenAPI()) })

// Contract returns the API's OpenAPI document, which every call of Do is held to.
func Contract(tb testing.TB) *contract.Contract {
	tb.Helper()
	document, err := loaded()
	require.NoError(tb, err)
	return document
}
