package models

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"go.jetify.com/typeid/base32"
)

// ErrBadID is what ParseID returns for text that is no id of the wanted kind.
var ErrBadID = errors.New("malformed id")

// Prefix ties an ID to the noun that it names.
type Prefix interface{ prefix() string }

// ID is a UUIDv7 (RFC 9562) in the database and a TypeID on the wire
// (`acct_01h455vb4pex5vsknk084sn02q`). The type parameter keeps an account id
// from being passed where a transaction id is meant.
type ID[P Prefix] [16]byte

// The nouns that ids name.
type (
	BusinessPrefix    struct{}
	APIKeyPrefix      struct{}
	AccountPrefix     struct{}
	TransactionPrefix struct{}
	HoldPrefix        struct{}
	WebhookPrefix     struct{}
	EventPrefix       struct{}
	DeliveryPrefix    struct{}
)

func (BusinessPrefix) prefix() string    { return "biz" }
func (APIKeyPrefix) prefix() string      { return "key" }
func (AccountPrefix) prefix() string     { return "acct" }
func (TransactionPrefix) prefix() string { return "txn" }
func (HoldPrefix) prefix() string        { return "hold" }
func (WebhookPrefix) prefix() string     { return "wh" }
func (EventPrefix) prefix() string       { return "evt" }
func (DeliveryPrefix) prefix() string    { return "dlv" }

// The ids of the data model.
type (
	BusinessID    = ID[BusinessPrefix]
	APIKeyID      = ID[APIKeyPrefix]
	AccountID     = ID[AccountPrefix]
	TransactionID = ID[TransactionPrefix]
	HoldID        = ID[HoldPrefix]
	WebhookID     = ID[WebhookPrefix]
	EventID       = ID[EventPrefix]
	DeliveryID    = ID[DeliveryPrefix]
)

// sequence orders ids that one process makes within the same microsecond.
var sequence atomic.Uint32

// NewID returns an id stamped with the current time.
func NewID[P Prefix]() ID[P] { return NewIDAt[P](time.Now()) }

// NewIDAt returns an id stamped with t. Ids sort by t to the microsecond and,
// within one process, by the order of the calls: 48 bits of milliseconds, 12
// bits of sub-millisecond fraction (RFC 9562 §6.2 method 3), a 30-bit counter
// and 32 random bits. Lists paged by id therefore come in order of creation
// without an index on a timestamp. The counter is that wide because a batch of a
// thousand movements takes some thousand ids at one moment: were it to begin
// anew in their midst, they would be listed out of order.
func NewIDAt[P Prefix](t time.Time) ID[P] {
	var id ID[P]
	micros := t.UnixMicro()
	millis, fraction := micros/1000, micros%1000
	binary.BigEndian.PutUint64(id[0:8], uint64(millis)<<16)
	binary.BigEndian.PutUint16(id[6:8], 0x7000|uint16(fraction))
	binary.BigEndian.PutUint32(id[8:12], 1<<31|sequence.Add(1)&(1<<30-1))
	_, _ = rand.Read(id[12:16]) // never fails since Go 1.24
	return id
}

// FirstIDAt returns the lowest id that NewIDAt can make for t: with it a time
// range becomes a range of the primary key. Ids know no time before 1970; for
// one it returns the lowest of all.
func FirstIDAt[P Prefix](t time.Time) ID[P] {
	id := NewIDAt[P](time.UnixMicro(max(t.UnixMicro(), 0)))
	clear(id[8:])
	id[8] = 0x80
	return id
}

// ParseID reads a TypeID and returns ErrBadID when the prefix or the form is
// wrong. The version bits are not checked.
func ParseID[P Prefix](text string) (ID[P], error) {
	var p P
	suffix, found := strings.CutPrefix(text, p.prefix()+"_")
	if !found || len(suffix) != 26 || suffix[0] > '7' {
		return ID[P]{}, ErrBadID
	}
	raw, err := base32.Decode(suffix)
	if err != nil {
		return ID[P]{}, ErrBadID
	}
	return ID[P](raw), nil
}

// String returns the TypeID.
func (id ID[P]) String() string {
	var p P
	return p.prefix() + "_" + base32.Encode(id)
}

// IsZero reports whether the id is unset.
func (id ID[P]) IsZero() bool { return id == ID[P]{} }

// UUID returns the id in the database's notation.
func (id ID[P]) UUID() string {
	h := hex.EncodeToString(id[:])
	return h[0:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// AppendText appends the TypeID (encoding.TextAppender).
func (id ID[P]) AppendText(b []byte) ([]byte, error) {
	var p P
	b = append(b, p.prefix()...)
	b = append(b, '_')
	return append(b, base32.Encode(id)...), nil
}

// MarshalText writes the TypeID (encoding.TextMarshaler).
func (id ID[P]) MarshalText() ([]byte, error) { return id.AppendText(make([]byte, 0, 32)) }

// UnmarshalText reads a TypeID (encoding.TextUnmarshaler).
func (id *ID[P]) UnmarshalText(text []byte) error {
	parsed, err := ParseID[P](string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// Value writes a uuid (driver.Valuer), null when the id is zero.
func (id ID[P]) Value() (driver.Value, error) {
	if id.IsZero() {
		return nil, nil
	}
	return id.UUID(), nil
}

// Scan reads a uuid (sql.Scanner).
func (id *ID[P]) Scan(src any) error {
	var u pgtype.UUID
	if err := u.Scan(src); err != nil {
		return fmt.Errorf("scanning id: %w", err)
	}
	*id = u.Bytes
	return nil
}

// UUIDValue lets pgx send the id in binary (pgtype.UUIDValuer).
func (id ID[P]) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: id, Valid: !id.IsZero()}, nil
}

// ScanUUID lets pgx read the id in binary (pgtype.UUIDScanner). Null is the
// zero id.
func (id *ID[P]) ScanUUID(u pgtype.UUID) error {
	*id = u.Bytes
	return nil
}

// GormDataType tells GORM the column's type.
func (ID[P]) GormDataType() string { return "uuid" }
