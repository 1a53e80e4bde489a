package httpapi

import (
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// exportPage is how many entries are read and written at a time: what bounds
// the memory of an export, however long the statement.
const exportPage = 1000

// exporter writes entries in one format.
type exporter struct {
	mediaType string
	begin     func(io.Writer) error
	write     func(io.Writer, []models.Entry) error
}

// The formats of a statement besides JSON pages: CSV with a header line (RFC
// 4180, lines ending in LF) and one JSON object per line.
var exporters = []*exporter{
	{"text/csv", beginCSV, writeCSV},
	{"application/x-ndjson", func(io.Writer) error { return nil }, writeLines},
}

// exportFormat returns the format that the Accept header asks for, nil for
// pages of JSON. The first media type that is known decides (RFC 9110 §12.5.1).
func exportFormat(r *http.Request) *exporter {
	for accepted := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, _, _ := strings.Cut(accepted, ";")
		media = strings.ToLower(strings.TrimSpace(media))
		if media == "application/json" || media == "*/*" {
			return nil
		}
		for _, e := range exporters {
			if e.mediaType == media {
				return e
			}
		}
	}
	return nil
}

// exportEntries streams a whole statement, newest first. The history below the
// first page is immutable, so the export is one consistent state.
func (a *API) exportEntries(c *gin.Context, id models.AccountID, format *exporter) error {
	ctx, business := c.Request.Context(), businessOf(c)
	entries, err := a.Ledger.Entries(ctx, business, id, 0, exportPage)
	if err != nil {
		return err
	}
	header := c.Writer.Header()
	header["Content-Type"] = []string{format.mediaType + "; charset=utf-8"}
	header["Cache-Control"] = noStore
	c.Writer.WriteHeader(http.StatusOK)
	connection := http.NewResponseController(c.Writer)
	err = format.begin(c.Writer)
	for err == nil && len(entries) > 0 {
		// A reader who keeps reading may take as long as the statement is.
		_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err = format.write(c.Writer, entries); err != nil {
			break
		}
		c.Writer.Flush()
		if len(entries) < exportPage {
			return nil
		}
		entries, err = a.Ledger.Entries(ctx, business, id, entries[len(entries)-1].Sequence, exportPage)
	}
	if err == nil {
		return nil
	}
	// The status has been sent: breaking the connection is the one way left to say
	// that the statement is not complete.
	return errors.Join(err, abort(c))
}

// abort closes the connection in the middle of an answer.
func abort(c *gin.Context) error {
	connection, _, err := c.Writer.Hijack()
	if err != nil {
		return err
	}
	return connection.Close()
}

var csvHeader = []string{"sequence", "transaction_id", "amount", "balance_after", "created_at"}

func beginCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write(csvHeader)
	out.Flush()
	return out.Error()
}

func writeCSV(w io.Writer, entries []models.Entry) error {
	out := csv.NewWriter(w)
	for _, e := range entries {
		at, _ := wire.Time(e.CreatedAt).MarshalText()
		// An error sticks to the writer.
		_ = out.Write([]string{
			strconv.FormatInt(e.Sequence, 10), e.TransactionID.String(), strconv.FormatInt(e.Amount, 10),
			strconv.FormatInt(e.BalanceAfter, 10), string(at),
		})
	}
	out.Flush()
	return out.Error()
}

func writeLines(w io.Writer, entries []models.Entry) error {
	for _, e := range entries {
		line, err := wire.Marshal(wire.NewStatementEntry(e))
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}
