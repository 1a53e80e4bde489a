package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

var entryView = view[models.Entry]{
	shape: func(e models.Entry) any { return wire.NewStatementEntry(e) },
	columns: []column[models.Entry]{
		{title: "SEQUENCE", cell: func(e models.Entry) string { return strconv.FormatInt(e.Sequence, 10) }},
		{title: "WHEN", cell: func(e models.Entry) string { return timeCell(e.CreatedAt) }},
		{title: "TRANSACTION", cell: func(e models.Entry) string { return e.TransactionID.String() }},
		{title: "AMOUNT", cell: func(e models.Entry) string { return strconv.FormatInt(e.Amount, 10) }},
		{title: "BALANCE", cell: func(e models.Entry) string { return strconv.FormatInt(e.BalanceAfter, 10) }},
	},
}

// The formats of a whole statement, as the API exports it.
const (
	formatCSV    outputFormat = "csv"
	formatNDJSON outputFormat = "ndjson"
)

// statementFormat is the flag --output of a command that also exports.
type statementFormat struct{ *outputFormat }

// Set reads the flag (pflag.Value).
func (f statementFormat) Set(text string) error {
	if exported := outputFormat(text); exported == formatCSV || exported == formatNDJSON {
		*f.outputFormat = exported
		return nil
	}
	if f.outputFormat.Set(text) != nil {
		return fmt.Errorf("%q is none of table, json, yaml, csv, ndjson", text)
	}
	return nil
}

func newLedgerStatement(s *session) *cobra.Command {
	var paging listFlags
	cmd := &cobra.Command{
		Use: "statement ACCOUNT", Short: "List or export the entries of an account, the newest first",
		Long: `List the entries of an account with running balances, the newest first: a page
at a time, or with -o csv or -o ndjson all of them, as the API exports them.`,
		Example: `  txnctl ledger statement acct_01h455vb4pex5vsknk084sn02q --limit 20
  txnctl ledger statement acct_01h455vb4pex5vsknk084sn02q -o csv > statement.csv`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			whole := s.format == formatCSV || s.format == formatNDJSON
			if whole && (cmd.Flags().Changed("limit") || cmd.Flags().Changed("cursor")) {
				return usagef("-o %s exports the whole statement: --limit and --cursor are for pages", s.format)
			}
			if err := paging.check(); err != nil {
				return err
			}
			below, err := cursorNumber(paging.cursor)
			if err != nil {
				return err
			}
			return s.withAccount(cmd.Context(), args[0], func(books *ledger.Ledger, account models.Account) error {
				if whole {
					return s.exportStatement(cmd.Context(), books, account)
				}
				items, err := books.Entries(cmd.Context(), account.BusinessID, account.ID, below, paging.limit+1)
				if err != nil {
					return err
				}
				more := len(items) > paging.limit
				return printPage(s, entryView, page[models.Entry]{
					items: items[:min(paging.limit, len(items))], more: more,
					cursor: func(e models.Entry) string { return strconv.FormatInt(e.Sequence, 10) },
				})
			})
		},
	}
	paging.register(cmd)
	cmd.Flags().VarP(statementFormat{&s.format}, "output", "o", "print as `table|json|yaml`, or export all as csv|ndjson")
	return cmd
}

// exportPage is how many entries are read and written at a time.
const exportPage = 1000

// exportStatement writes the whole statement of an account. Its history below the
// first page is immutable, so the export is one consistent state.
func (s *session) exportStatement(ctx context.Context, books *ledger.Ledger, account models.Account) error {
	out := bufio.NewWriter(s.out)
	write := wire.WriteStatementLines
	if s.format == formatCSV {
		write = wire.WriteStatementCSV
		if err := wire.WriteStatementHeader(out); err != nil {
			return fmt.Errorf("writing the statement: %w", err)
		}
	}
	bar := &progress{}
	if s.width == 0 { // else the statement itself is on the terminal
		bar = s.newProgress("entries", account.Version)
	}
	defer bar.end()
	counted := func(out io.Writer, entries []models.Entry) error {
		if len(entries) > 0 {
			bar.at(account.Version-entries[len(entries)-1].Sequence, account.Version)
		}
		return write(out, entries)
	}
	if err := writeStatement(ctx, books, account, out, counted); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the statement: %w", err)
	}
	return nil
}

func writeStatement(
	ctx context.Context, books *ledger.Ledger, account models.Account, out io.Writer, write func(io.Writer, []models.Entry) error,
) error {
	for below := int64(0); ; {
		entries, err := books.Entries(ctx, account.BusinessID, account.ID, below, exportPage)
		if err != nil {
			return err
		}
		if err := write(out, entries); err != nil {
			return fmt.Errorf("writing the statement: %w", err)
		}
		if len(entries) < exportPage {
			return nil
		}
		below = entries[len(entries)-1].Sequence
	}
}
