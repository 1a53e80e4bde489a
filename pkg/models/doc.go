// Package models holds the tables as Go: GORM models, typed ids and enums,
// shared by all binaries.
//
// One file per noun. Money is int64 in minor units of the row's ISO 4217
// currency, times are UTC with microseconds (what timestamptz keeps). Models
// carry no behaviour that needs a database; the packages above own the queries.
package models
