package main

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

func newLedger(s *session) *cobra.Command {
	return newGroup("ledger", "Verify the books, read balances and statements",
		"Verify the books, and read balances and statements of accounts. Nothing here moves money.",
		newLedgerVerify(s), newLedgerBalance(s), newLedgerStatement(s))
}

// closeTimeout bounds the end of a ledger that was only read from.
const closeTimeout = 5 * time.Second

// withAccount runs do on a ledger for reading and an account of it, whose
// business it finds.
func (s *session) withAccount(
	ctx context.Context, text string, do func(books *ledger.Ledger, account models.Account) error,
) error {
	id, err := parseID[models.AccountPrefix]("account", text)
	if err != nil {
		return err
	}
	return s.withDB(ctx, func(db *database.DB) error {
		business, err := ledger.OwnerOf(ctx, db, id)
		if err != nil {
			return err
		}
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		books := ledger.New(db, ledger.Options{Committers: 1}, silent)
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			defer cancel()
			_ = books.Close(ctx) // nothing was queued
		}()
		account, err := books.Account(ctx, business, id)
		if err != nil {
			return err
		}
		return do(books, account)
	})
}

// moment is an account's balance, now or at a time in the past.
type moment struct {
	account models.Account
	balance int64
	at      *time.Time
}

var balanceView = view[moment]{
	shape: func(m moment) any {
		if m.at != nil {
			return wire.NewPastBalance(m.account, m.balance, *m.at)
		}
		return wire.NewBalance(m.account)
	},
	columns: []column[moment]{
		{title: "ACCOUNT", cell: func(m moment) string { return m.account.ID.String() }},
		{title: "CURRENCY", cell: func(m moment) string { return m.account.Currency }},
		{title: "BALANCE", cell: func(m moment) string { return strconv.FormatInt(m.balance, 10) }},
		{title: "HELD", cell: func(m moment) string { return m.present(m.account.Held) }},
		{title: "AVAILABLE", cell: func(m moment) string { return m.present(m.account.Available()) }},
		{title: "AT", cell: func(m moment) string {
			if m.at == nil {
				return "now"
			}
			return timeCell(*m.at)
		}},
	},
}

// present is a figure that is only known of now.
func (m moment) present(amount int64) string {
	if m.at != nil {
		return none
	}
	return strconv.FormatInt(amount, 10)
}

func newLedgerBalance(s *session) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use: "balance ACCOUNT", Short: "Show the balance of an account, now or in the past",
		Long: "Show the balance of an account in minor units of its currency: now, or as it was at a moment (inclusive).",
		Example: `  txnctl ledger balance acct_01h455vb4pex5vsknk084sn02q
  txnctl ledger balance acct_01h455vb4pex5vsknk084sn02q --at 2026-01-31T23:59:59Z -o json`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			then, err := timeFlag("at", at)
			if err != nil {
				return err
			}
			return s.withAccount(cmd.Context(), args[0], func(books *ledger.Ledger, account models.Account) error {
				result := moment{account: account, balance: account.Balance}
				if at != "" {
					result.at = &then
					if result.balance, err = books.BalanceAt(cmd.Context(), account.BusinessID, account.ID, then); err != nil {
						return err
					}
				}
				return printOne(s, balanceView, result)
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "the `time` of the balance (RFC 3339; default: now)")
	return cmd
}
