package models

import (
	"database/sql/driver"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
)

// TextList is a text[] column. GORM would expand a plain []string into one
// placeholder per element.
type TextList []string

// textArrays encodes and decodes text[]; a pgtype.Map is not safe for
// concurrent use, so every call makes its own.
func textArrays() *pgtype.Map { return pgtype.NewMap() }

// Value writes the array in PostgreSQL's text notation (driver.Valuer).
func (l TextList) Value() (driver.Value, error) {
	if l == nil {
		return nil, nil
	}
	text, err := textArrays().Encode(pgtype.TextArrayOID, pgtype.TextFormatCode, []string(l), nil)
	if err != nil {
		return nil, fmt.Errorf("encoding text[]: %w", err)
	}
	return string(text), nil
}

// Scan reads the array (sql.Scanner).
func (l *TextList) Scan(src any) error {
	if err := textArrays().SQLScanner((*[]string)(l)).Scan(src); err != nil {
		return fmt.Errorf("scanning text[]: %w", err)
	}
	return nil
}

// GormDataType tells GORM the column's type.
func (TextList) GormDataType() string { return "text[]" }
