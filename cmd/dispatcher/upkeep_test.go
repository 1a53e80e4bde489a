package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// TestUpkeepOfTheLedger has a dispatcher without Redis expire an overdue hold
// and export an audit that found nothing.
func TestUpkeepOfTheLedger(t *testing.T) {
	t.Parallel()
	testdb := dbtest.New(t)
	db, err := database.Open(t.Context(), database.Options{URL: testdb.URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	log := logrus.New()
	log.SetOutput(io.Discard)
	book := ledger.New(db, ledger.Options{}, log)
	business := models.Business{ID: models.NewID[models.BusinessPrefix](), Name: "Acme", Status: models.BusinessActive, DefaultCurrency: "USD"}
	require.NoError(t, db.Gorm.Create(&business).Error)
	var account models.Account
	require.NoError(t, db.InTx(t.Context(), func(tx *gorm.DB) (err error) {
		account, err = ledger.CreateAccount(tx, business.ID, ledger.NewAccount{Name: "Main", Currency: "USD"})
		return err
	}))
	expires := time.Now().Add(time.Second)
	_, err = book.CreateHold(t.Context(), business.ID, ledger.NewHold{Account: account.ID, Amount: 5, ExpiresAt: &expires, IdempotencyKey: "h"})
	require.NoError(t, err)
	require.NoError(t, book.Close(t.Context()))

	admin, stop, _ := start(t, settings(testdb.URL))
	require.Eventually(t, func() bool {
		var status string
		err := testdb.Pool.QueryRow(t.Context(), `SELECT status FROM holds`).Scan(&status)
		return err == nil && status == string(models.HoldExpired)
	}, 3*sweepInterval, 20*time.Millisecond)
	require.Eventually(t, func() bool {
		_, metrics := get(t, admin+"/metrics")
		return strings.Contains(metrics, "txn_ledger_audit_findings 0") &&
			!strings.Contains(metrics, "txn_ledger_audit_last_pass_timestamp_seconds 0")
	}, 10*time.Second, 50*time.Millisecond)
	require.NoError(t, stop())
}
