package database

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/txn-service/txn/migrations"
)

// ErrSchemaTooOld says that the database lacks migrations of this release; its
// text names the command to run.
var ErrSchemaTooOld = errors.New("the schema is too old: run `txnctl migrate up`")

// requiredVersion is the newest migration that this binary carries.
var requiredVersion = func() int64 {
	files, err := migrations.FS.ReadDir(".")
	if err != nil {
		panic(err) // an embedded directory
	}
	number, _, _ := strings.Cut(path.Base(files[len(files)-1].Name()), "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		panic(err) // a misnamed migration never leaves the test suite
	}
	return version
}()

// CheckSchema returns nil when the schema is at least as new as this binary,
// ErrSchemaTooOld when it is not, and a coded error when that cannot be told.
func (db *DB) CheckSchema(ctx context.Context) error {
	version, _, err := db.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if version < requiredVersion {
		return fmt.Errorf("%w (schema %d, this release needs %d)", ErrSchemaTooOld, version, requiredVersion)
	}
	return nil
}
