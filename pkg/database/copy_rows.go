package database

import (
	"encoding/binary"
	"time"
)

// Rows encodes rows for COPY … FROM STDIN (FORMAT binary), straight into the
// message that carries them (PostgreSQL documentation, COPY, "Binary Format").
// The caller adds Row and then as many fields as it announced, of the columns'
// types: the server refuses what does not fit.
type Rows struct {
	buffer []byte
	// length is where the message's length stands.
	length int
}

const (
	copySignature = "PGCOPY\n\xff\r\n\x00"
	copyNoFlags   = "\x00\x00\x00\x00\x00\x00\x00\x00" // no flags, no header extension
	copyTrailer   = "\xff\xff"
	jsonbVersion  = 1
)

// Fields are preceded by their length.
const (
	lengthOfNull  = 0xffffffff
	lengthOfUUID  = 16
	lengthOfInt64 = 8
	lengthOfInt16 = 2
)

// postgresEpoch is where timestamptz counts from, in microseconds.
var postgresEpoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

func beginRows(buffer []byte) *Rows {
	buffer = append(buffer, 'd') // CopyData
	r := &Rows{length: len(buffer), buffer: append(buffer, "\x00\x00\x00\x00"...)}
	r.buffer = append(append(r.buffer, copySignature...), copyNoFlags...)
	return r
}

func (r *Rows) end() []byte {
	r.buffer = append(r.buffer, copyTrailer...)
	binary.BigEndian.PutUint32(r.buffer[r.length:], uint32(len(r.buffer)-r.length))
	return r.buffer
}

// Row begins a row of that many fields.
func (r *Rows) Row(fields uint16) { r.buffer = binary.BigEndian.AppendUint16(r.buffer, fields) }

// Null adds a NULL.
func (r *Rows) Null() { r.buffer = binary.BigEndian.AppendUint32(r.buffer, lengthOfNull) }

// UUID adds a uuid.
func (r *Rows) UUID(id [16]byte) {
	r.buffer = binary.BigEndian.AppendUint32(r.buffer, lengthOfUUID)
	r.buffer = append(r.buffer, id[:]...)
}

// Text adds a text.
func (r *Rows) Text(text string) {
	r.buffer = binary.BigEndian.AppendUint32(r.buffer, uint32(len(text)))
	r.buffer = append(r.buffer, text...)
}

// Bytes adds a bytea.
func (r *Rows) Bytes(bytes []byte) {
	r.buffer = binary.BigEndian.AppendUint32(r.buffer, uint32(len(bytes)))
	r.buffer = append(r.buffer, bytes...)
}

// JSONB adds a jsonb from JSON.
func (r *Rows) JSONB(json []byte) {
	r.buffer = binary.BigEndian.AppendUint32(r.buffer, uint32(len(json)+1))
	r.buffer = append(append(r.buffer, jsonbVersion), json...)
}

// Int64 adds a bigint.
func (r *Rows) Int64(value int64) {
	r.buffer = binary.BigEndian.AppendUint32(r.buffer, lengthOfInt64)
	r.buffer = binary.BigEndian.AppendUint64(r.buffer, uint64(value))
}

// Int16 adds a smallint.
func (r *Rows) Int16(value int16) {
	r.buffer = binary.BigEndian.AppendUint32(r.buffer, lengthOfInt16)
	r.buffer = binary.BigEndian.AppendUint16(r.buffer, uint16(value))
}

// Time adds a timestamptz, to the microsecond.
func (r *Rows) Time(at time.Time) { r.Int64(at.UnixMicro() - postgresEpoch) }

// OptionalInt64 adds a bigint, or NULL for nil.
func (r *Rows) OptionalInt64(value *int64) {
	if value == nil {
		r.Null()
		return
	}
	r.Int64(*value)
}

// OptionalText adds a text, or NULL for nil.
func (r *Rows) OptionalText(text *string) {
	if text == nil {
		r.Null()
		return
	}
	r.Text(*text)
}

// OptionalTime adds a timestamptz, or NULL for nil.
func (r *Rows) OptionalTime(at *time.Time) {
	if at == nil {
		r.Null()
		return
	}
	r.Time(*at)
}

// OptionalUUID adds a uuid to the rows, or NULL for nil.
func OptionalUUID[T ~[16]byte](r *Rows, id *T) {
	if id == nil {
		r.Null()
		return
	}
	r.UUID([16]byte(*id))
}
