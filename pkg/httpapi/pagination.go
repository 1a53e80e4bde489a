package httpapi

import (
	"encoding/binary"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// Bounds of `limit`.
const (
	defaultPageSize = 50
	maxPageSize     = 200
)

// page says which part of a list is asked for. Handlers fetch Limit+1 rows, of
// which newList takes the last as the sign that there are more.
type page struct {
	// List names the list and its order; cursors of one list are refused by all
	// others. It holds whatever else the position depends on, such as the account
	// of a statement.
	List string
	// Limit is how many rows the answer may hold.
	Limit int
}

// pageByID reads `limit` and a `cursor` of a list in order of ids; after is nil
// for the first page.
func pageByID[P models.Prefix](q *query, list string) (p page, after *models.ID[P]) {
	p = page{List: list, Limit: q.integer("limit", 1, maxPageSize, defaultPageSize)}
	if position := q.cursor(list, len(models.ID[P]{})); position != nil {
		id := models.ID[P](position)
		after = &id
	}
	return p, after
}

// pageBySequence is pageByID for a list in order of an int64.
func pageBySequence(q *query, list string) (p page, after *int64) {
	p = page{List: list, Limit: q.integer("limit", 1, maxPageSize, defaultPageSize)}
	if position := q.cursor(list, 8); position != nil {
		sequence := int64(binary.BigEndian.Uint64(position))
		after = &sequence
	}
	return p, after
}

func (q *query) cursor(list string, size int) []byte {
	value, given := q.one("cursor")
	if !given {
		return nil
	}
	position, ok := decodeCursor(list, value, size)
	if !ok {
		q.refuse("cursor", "is not a cursor of this list")
		return nil
	}
	return position
}

// positionID is the position of a row in a list ordered by id.
func positionID[P models.Prefix](id models.ID[P]) []byte { return id[:] }

// positionSequence is the position of a row in a list ordered by an int64.
func positionSequence(sequence int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(sequence))
}

// newList makes the answer of up to p.Limit+1 rows.
func newList[R, T any](p page, rows []R, shape func(R) T, position func(R) []byte) wire.List[T] {
	more := len(rows) > p.Limit
	return newPage(p, rows[:min(p.Limit, len(rows))], more, shape, position)
}

// newPage makes the answer of up to p.Limit rows after which more follow or not.
func newPage[R, T any](p page, rows []R, more bool, shape func(R) T, position func(R) []byte) wire.List[T] {
	list := wire.List[T]{HasMore: more}
	if list.HasMore {
		cursor := encodeCursor(p.List, position(rows[len(rows)-1]))
		list.NextCursor = &cursor
	}
	list.Data = make([]T, len(rows))
	for i, row := range rows {
		list.Data[i] = shape(row)
	}
	return list
}
