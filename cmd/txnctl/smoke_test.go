package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
)

func TestSmokeMovesMoney(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	c := &cli{config: configFile(t, api.DatabaseURL), db: api.DB}
	for range 2 {
		result := c.ok(t, "smoke", "--url", api.URL+"/")
		for _, field := range []string{"credit_id", "transfer_id", "debit_id"} {
			require.Contains(t, result[field], "txn_")
		}
	}
	var businesses, accounts, movements, working, touched int64
	count := func(n *int64, sql string) { require.NoError(t, api.DB.Gorm.Raw(sql).Scan(n).Error) }
	count(&businesses, `SELECT count(*) FROM businesses WHERE name = 'txnctl smoke'`)
	count(&accounts, `SELECT count(*) FROM business_accounts`)
	count(&movements, `SELECT count(*) FROM transactions`)
	count(&touched, `SELECT count(*) FROM business_accounts WHERE balance <> 0`)
	count(&working, `SELECT count(*) FROM api_keys WHERE name = 'txnctl smoke' AND revoked_at IS NULL`)
	require.EqualValues(t, 1, businesses, "the second run uses it again")
	require.EqualValues(t, 2, accounts)
	require.EqualValues(t, 6, movements, "three a run; the repeated transfer is none")
	require.Zero(t, touched)
	require.Zero(t, working, "the keys of the runs are revoked")
}

func TestSmokeNeedsNoDatabaseWithAKey(t *testing.T) {
	api := apitest.New(t)
	t.Setenv("TXN_API_KEY", api.Key)
	c := &cli{config: configFile(t, "postgres://nobody@127.0.0.1:1/none")}
	c.ok(t, "smoke", "--url", api.URL)
}

func TestSmokeFailsWhereMoneyDoesNotMove(t *testing.T) {
	t.Setenv("TXN_API_KEY", "txn_key")
	answers := map[string]string{
		"GET /readyz":              `{}`,
		"GET /v1/accounts":         `{"data":[{"id":"acct_1","balance":5}]}`,
		"GET /v1/accounts/acct_1":  `{"id":"acct_1","balance":6}`,
		"POST /v1/transactions":    `{"id":"txn_1","entries":[{"account_id":"acct_1","amount":7}]}`,
		"GET /v1/accounts/nothing": ``,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(answers[r.Method+" "+r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	c := &cli{config: configFile(t, "postgres://nobody@127.0.0.1:1/none")}
	r := c.run(t, "smoke", "--url", server.URL)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "account acct_1 has an entry of 7")
	require.Empty(t, r.out)

	server.Close()
	r = c.run(t, "smoke", "--url", server.URL, "--wait", "1ms")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "the API did not become ready")
}
