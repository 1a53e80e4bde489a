package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// maxFindings bounds what a verification shows: one cause breaks many rows, and
// the first of them lead to it.
const maxFindings = 100

// verification is the result of an audit of the books.
type verification struct {
	OK           bool  `json:"ok"`
	Businesses   int64 `json:"businesses"`
	Accounts     int64 `json:"accounts"`
	Transactions int64 `json:"transactions"`
	// Entries counts each once; the audit looks at every one twice.
	Entries int64 `json:"entries"`
	// FindingCount counts all broken promises, Findings lists the first of them.
	FindingCount int64            `json:"finding_count"`
	Findings     []ledger.Finding `json:"findings"`
}

var verificationView = view[verification]{
	shape: func(v verification) any { return v },
	columns: []column[verification]{
		{title: "OK", cell: func(v verification) string { return strconv.FormatBool(v.OK) }},
		{title: "BUSINESSES", cell: func(v verification) string { return strconv.FormatInt(v.Businesses, 10) }},
		{title: "ACCOUNTS", cell: func(v verification) string { return strconv.FormatInt(v.Accounts, 10) }},
		{title: "TRANSACTIONS", cell: func(v verification) string { return strconv.FormatInt(v.Transactions, 10) }},
		{title: "ENTRIES", cell: func(v verification) string { return strconv.FormatInt(v.Entries, 10) }},
		{title: "FINDINGS", cell: func(v verification) string { return strconv.FormatInt(v.FindingCount, 10) }},
	},
}

func newLedgerVerify(s *session) *cobra.Command {
	var business string
	cmd := &cobra.Command{
		Use: "verify", Short: "Prove that the books are right",
		Long: `Prove that the books are right: every account's history without a gap, with exact
running balances and nothing beyond its overdraft limit; every transaction with
its entries; and for every business and currency a sum of balances equal to
credits minus debits. It takes no locks and is correct beside live traffic.

The exit code is 1 when anything is wrong; what it is goes to standard error, or
into the result with -o json.`,
		Example: `  txnctl ledger verify
  txnctl ledger verify --business biz_01h455vb4pex5vsknk084sn02q -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withDB(cmd.Context(), func(db *database.DB) error { return s.verify(cmd.Context(), db, business) })
		},
	}
	cmd.Flags().StringVar(&business, "business", "", "`id` of the one business to verify (default: all)")
	return cmd
}

func (s *session) verify(ctx context.Context, db *database.DB, business string) error {
	var audit ledger.Audit
	if business != "" {
		id, err := parseID[models.BusinessPrefix]("business", business)
		if err != nil {
			return err
		}
		if err := checkBusiness(ctx, db, id); err != nil {
			return err
		}
		audit.Business = &id
	}
	result := verification{Findings: []ledger.Finding{}}
	audit.Found = func(f ledger.Finding) {
		result.FindingCount++
		if len(result.Findings) < maxFindings {
			result.Findings = append(result.Findings, f)
		}
	}
	bar := s.newProgress("entries", unknownTotal)
	audit.Progress = func(p ledger.Progress) { bar.at(p.Entries, p.EntriesTotal) }
	seen, err := ledger.Verify(ctx, db, audit)
	bar.end()
	if err != nil {
		return err
	}
	result.OK = result.FindingCount == 0
	result.Businesses, result.Accounts, result.Transactions = seen.Businesses, seen.Accounts, seen.Transactions
	result.Entries = seen.Entries / 2
	return s.report(result)
}

func (s *session) report(result verification) error {
	if s.format == "" || s.format == formatTable {
		for _, f := range result.Findings {
			s.note("%s %s: %s: %s", f.BusinessID, f.Subject, f.Check, f.Detail)
		}
	}
	if err := printOne(s, verificationView, result); err != nil {
		return err
	}
	if !result.OK {
		return fmt.Errorf("the books are wrong in %d places", result.FindingCount)
	}
	return nil
}
