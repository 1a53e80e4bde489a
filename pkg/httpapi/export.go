package httpapi

import (
	"errors"
	"io"
	"mime"
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

// The formats of a statement besides JSON pages.
var exporters = []*exporter{
	{"text/csv", wire.WriteStatementHeader, wire.WriteStatementCSV},
	{"application/x-ndjson", func(io.Writer) error { return nil }, wire.WriteStatementLines},
}

// exportFormat returns the format that the Accept header asks for, nil for pages
// of JSON: the acceptable one of the highest quality, the first among equals (RFC
// 9110 §12.5.1). What is asked for by a wildcard, or not at all, is JSON.
func exportFormat(r *http.Request) *exporter {
	var best *exporter
	highest := 0.0
	for accepted := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		media, parameters, err := mime.ParseMediaType(accepted)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, given := parameters["q"]; given {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		if format, known := exporterOf(media); known && quality > highest {
			best, highest = format, quality
		}
	}
	return best
}

// exporterOf is the format of a media type, nil for JSON.
func exporterOf(media string) (format *exporter, known bool) {
	for _, e := range exporters {
		if e.mediaType == media {
			return e, true
		}
	}
	return nil, media == "application/json" || media == "application/*" || media == "*/*"
}

// exportEntries streams a whole statement, newest first. The history below the
// first page is immutable, so the export is one consistent state.
func (a *API) exportEntries(c *gin.Context, id models.AccountID, format *exporter) error {
	entries, err := a.entries(c, id, 0, exportPage)
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
		entries, err = a.entries(c, id, entries[len(entries)-1].Sequence, exportPage)
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
