package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
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

// TestSmokeFailsWhereMoneyDoesNotMove: services that answer 201 and do something
// else.
func TestSmokeFailsWhereMoneyDoesNotMove(t *testing.T) {
	t.Setenv("TXN_API_KEY", "txn_key")
	c := &cli{config: configFile(t, "postgres://nobody@127.0.0.1:1/none")}
	for name, f := range map[string]struct {
		service fakeService
		want    string
	}{
		"wrong entries":  {fakeService{amount: 99, replays: true}, "account acct_smoke-source has an entry of 99"},
		"moves twice":    {fakeService{amount: 100}, "a repeated transfer moved money again"},
		"balance is off": {fakeService{amount: 100, replays: true, balance: 1}, "account acct_smoke-destination has 1, and had 0"},
	} {
		server := httptest.NewServer(&f.service)
		r := c.run(t, "smoke", "--url", server.URL)
		server.Close()
		require.Equal(t, exitFailed, r.code, name)
		require.Contains(t, r.err, f.want, name)
		require.Empty(t, r.out, name)
	}
	r := c.run(t, "smoke", "--url", "http://127.0.0.1:1", "--wait", "1ms")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "the API did not become ready")
}

// fakeService answers as the API would, but for its faults.
type fakeService struct {
	// amount is what the entries say, balance what the accounts have at last.
	amount, balance int
	// replays says that a key seen before is known again.
	replays bool

	made int
	seen map[string]int
}

// ServeHTTP answers whatever a smoke test asks.
func (f *fakeService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v1/accounts":
		fmt.Fprintf(w, `{"data":[{"id":"acct_%s"}]}`, r.URL.Query().Get("reference"))
	case r.Method == http.MethodGet:
		fmt.Fprintf(w, `{"id":%q,"balance":%d}`, path.Base(r.URL.Path), f.balance)
	default:
		f.post(w, r)
	}
}

func (f *fakeService) post(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	id, replayed := f.seen[r.Header.Get("Idempotency-Key")]
	if !replayed || !f.replays {
		f.made++
		id = f.made
		if f.seen == nil {
			f.seen = map[string]int{}
		}
		f.seen[r.Header.Get("Idempotency-Key")] = id
	} else {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	var entries []string
	for field, sign := range map[string]int{"source_account_id": -1, "destination_account_id": 1} {
		if account, ok := body[field]; ok {
			entries = append(entries, fmt.Sprintf(`{"account_id":%q,"amount":%d}`, account, sign*f.amount))
		}
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id":"txn_%d","entries":[%s]}`, id, strings.Join(entries, ","))
}
