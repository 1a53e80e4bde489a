package migrations_test

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/migrations"
)

var (
	section   = regexp.MustCompile(`(?m)^-- \+goose (Up|Down)\b`)
	statement = regexp.MustCompile(`(?im)^\s*(CREATE|ALTER|DROP|TRUNCATE|UPDATE|DELETE|INSERT|COMMENT|GRANT|REVOKE)\b`)
	timeout   = regexp.MustCompile(`(?im)^SET (LOCAL )?lock_timeout = '[1-9]\d*m?s';`)
)

// A migration that waits for a table's lock makes everybody else wait behind it.
func TestEveryMigrationBoundsItsWaitForLocks(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(migrations.FS, "*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := fs.ReadFile(migrations.FS, file)
		require.NoError(t, err)
		starts := section.FindAllIndex(text, -1)
		require.Len(t, starts, 2, "%s: up and down", file)
		for i, start := range starts {
			end := len(text)
			if i+1 < len(starts) {
				end = starts[i+1][0]
			}
			body := string(text[start[1]:end])
			set, first := timeout.FindStringIndex(body), statement.FindStringIndex(body)
			require.NotNil(t, set, "%s: %s sets no lock_timeout", file, strings.TrimSpace(string(text[start[0]:start[1]])))
			require.NotNil(t, first, "%s changes nothing", file)
			require.Less(t, set[0], first[0], "%s: lock_timeout is set after the first statement", file)
		}
	}
}
