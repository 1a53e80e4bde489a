package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/wire"
)

func TestShowBusiness(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	res := api.Do(t, "GET", "/v1/business", nil).Require(t, http.StatusOK)
	require.Equal(t, "application/json", res.Header.Get("Content-Type"))
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	var business wire.Business
	res.Decode(t, &business)
	require.Equal(t, api.Business, business.ID)
	require.Equal(t, "Acme", business.Name)

	other := api.NewTenant(t)
	api.Do(t, "GET", "/v1/business", nil, apitest.Key(other.Key)).Decode(t, &business)
	require.Equal(t, other.Business, business.ID)
}
