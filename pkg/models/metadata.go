package models

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/txn-service/txn/pkg/errs"
)

// Bounds of Metadata, in characters.
const (
	MaxMetadataPairs = 50
	MaxMetadataKey   = 40
	MaxMetadataValue = 500
)

// Metadata is a tenant's own data on an object: pairs of strings that txn
// stores and returns but never interprets. Empty metadata is null in the
// database, so that indexes on it cost nothing to rows without any.
type Metadata map[string]string

// Check records a violation for metadata beyond the bounds.
func (m Metadata) Check(v *errs.Validation, field string) {
	v.Check(len(m) <= MaxMetadataPairs, field, "must have at most %d pairs", MaxMetadataPairs)
	for key, value := range m {
		if key == "" || utf8.RuneCountInString(key) > MaxMetadataKey {
			v.Add(field, "keys must have 1 to %d characters", MaxMetadataKey)
		}
		CheckText(v, field, key)
		name := field + "." + key
		v.Check(utf8.RuneCountInString(value) <= MaxMetadataValue, name, "must have at most %d characters", MaxMetadataValue)
		CheckText(v, name, value)
	}
}

// Value writes jsonb (driver.Valuer).
func (m Metadata) Value() (driver.Value, error) {
	if len(m) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(map[string]string(m))
	return string(text), err
}

// Scan reads jsonb (sql.Scanner).
func (m *Metadata) Scan(src any) error {
	switch text := src.(type) {
	case nil:
		*m = nil
		return nil
	case string:
		return json.Unmarshal([]byte(text), (*map[string]string)(m))
	case []byte:
		return json.Unmarshal(text, (*map[string]string)(m))
	default:
		return fmt.Errorf("scanning metadata: unexpected %T", src)
	}
}

// GormDataType tells GORM the column's type.
func (Metadata) GormDataType() string { return "jsonb" }
