package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/txn-service/txn/pkg/errs"
)

// The exit codes of every command.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitRefused  = 4
)

// usageError says that the command line or the configuration is wrong: the same
// command cannot succeed anywhere.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...)}
}

// exitCode maps an error to what a script can tell apart.
func exitCode(err error) int {
	var wrong *usageError
	if errors.As(err, &wrong) {
		return exitUsage
	}
	switch errs.CodeOf(err) {
	case errs.NotFound:
		return exitNotFound
	case errs.InvalidRequest:
		return exitUsage
	case errs.Internal, errs.Unavailable, errs.RateLimited:
		return exitFailed
	default:
		return exitRefused
	}
}

// describe is an error for the operator: what a caller of the API would read,
// and the cause where the operator is the one to remove it.
func describe(err error) string {
	coded := errs.As(err)
	switch {
	case coded == nil:
		return err.Error()
	case coded.Code == errs.Unavailable && coded.Cause != nil:
		return coded.Detail + ": " + coded.Cause.Error()
	case len(coded.Fields) > 0:
		lines := make([]string, len(coded.Fields))
		for i, field := range coded.Fields {
			lines[i] = field.Field + ": " + field.Message
		}
		return strings.Join(lines, "\n        ")
	case coded.Detail == "":
		return err.Error()
	default:
		return coded.Detail
	}
}
