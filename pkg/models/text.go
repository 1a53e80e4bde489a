package models

import (
	"unicode"
	"unicode/utf8"

	"github.com/txn-service/txn/pkg/errs"
)

// Bounds of free text, in characters.
const (
	MaxName        = 200
	MaxReference   = 200
	MaxDescription = 1000
)

// CheckText records a violation for NUL and other control characters: they
// break terminals, CSV exports and, in the case of NUL, PostgreSQL.
func CheckText(v *errs.Validation, field, text string) {
	for _, r := range text {
		if unicode.IsControl(r) {
			v.Add(field, "must not contain control characters")
			return
		}
	}
}

// CheckLength records a violation for control characters and for text outside
// the bounds, in characters.
func CheckLength(v *errs.Validation, field, text string, least, most int) {
	CheckText(v, field, text)
	switch n := utf8.RuneCountInString(text); {
	case n < least && n == 0:
		v.Add(field, "must not be empty")
	case n < least:
		v.Add(field, "must have at least %d characters", least)
	case n > most:
		v.Add(field, "must have at most %d characters", most)
	}
}
