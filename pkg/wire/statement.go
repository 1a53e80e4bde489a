package wire

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/txn-service/txn/pkg/models"
)

// WriteStatementHeader writes the header line of a statement as CSV (RFC 4180,
// lines ending in LF).
func WriteStatementHeader(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"sequence", "transaction_id", "amount", "balance_after", "created_at"})
	out.Flush()
	return out.Error()
}

// WriteStatementCSV writes entries as lines of CSV. Amounts are in minor units.
func WriteStatementCSV(w io.Writer, entries []models.Entry) error {
	out := csv.NewWriter(w)
	for _, e := range entries {
		at, _ := Time(e.CreatedAt).MarshalText()
		// An error sticks to the writer.
		_ = out.Write([]string{
			strconv.FormatInt(e.Sequence, 10), e.TransactionID.String(), strconv.FormatInt(e.Amount, 10),
			strconv.FormatInt(e.BalanceAfter, 10), string(at),
		})
	}
	out.Flush()
	return out.Error()
}

// WriteStatementLines writes entries as NDJSON: a StatementEntry per line.
func WriteStatementLines(w io.Writer, entries []models.Entry) error {
	for _, e := range entries {
		line, err := Marshal(NewStatementEntry(e))
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}
