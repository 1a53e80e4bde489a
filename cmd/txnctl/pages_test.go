package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

// pages are read at three in the morning by somebody who copies from them.
var pages = []string{"../../docs/runbook.md", "../../docs/operations.md", "../../README.md"}

// codeBlock is a fenced block of a page.
type codeBlock struct {
	// drill names the block for a test that executes it, by a comment before it.
	drill, text string
}

var fence = regexp.MustCompile("(?s)(?:<!-- drill: ([a-z-]+) -->\n)?[ ]*```(sh|sql)\n(.*?)```")

func blocks(t *testing.T, page, language string) (found []codeBlock) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, match := range fence.FindAllStringSubmatch(string(text), -1) {
		if match[2] == language {
			found = append(found, codeBlock{drill: match[1], text: match[3]})
		}
	}
	return found
}

// commandLine finds txnctl in a line of shell, behind variables, folders and kubectl,
// or in a word of code in the text.
var commandLine = regexp.MustCompile(`(?m)(?:^|[ /` + "`" + `(])txnctl ([a-z][^#|>\n` + "`" + `]*)`)

// TestEveryCommandOfThePagesExists, with all its flags.
func TestEveryCommandOfThePagesExists(t *testing.T) {
	t.Parallel()
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		// A word of code may be broken over lines, a command by a backslash.
		joined := regexp.MustCompile("`[^`\n]+\n[^`\n]+`").ReplaceAllStringFunc(string(text), func(code string) string {
			return strings.Join(strings.Fields(code), " ")
		})
		joined = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(joined, "")
		found := 0
		for _, match := range commandLine.FindAllStringSubmatch(joined, -1) {
			requireCommand(t, filepath.Base(page), strings.Fields(match[1]))
			found++
		}
		require.Greater(t, found, 4, page)
	}
}

func requireCommand(t *testing.T, page string, words []string) {
	t.Helper()
	where := page + ": txnctl " + strings.Join(words, " ")
	root := newRoot(&session{})
	root.InitDefaultHelpFlag()
	command, rest, err := root.Find(words)
	require.NoError(t, err, where)
	require.NotEqual(t, root.Name(), command.Name(), "%s: no such command", where)
	require.NoError(t, command.ParseFlags(rest), where)
	require.False(t, command.HasSubCommands() && command.Flags().NArg() > 0, "%s: no such command", where)
}

// TestQueriesOfThePages executes every query on the schema of this release, where
// nothing may be written.
func TestQueriesOfThePages(t *testing.T) {
	t.Parallel()
	database := dbtest.New(t)
	executed := 0
	for _, page := range pages {
		for _, block := range blocks(t, page, "sql") {
			for query := range strings.SplitSeq(withoutComments(block.text), ";") {
				if strings.TrimSpace(query) == "" {
					continue
				}
				tx, err := database.Pool.BeginTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly})
				require.NoError(t, err)
				_, err = tx.Exec(t.Context(), query)
				require.NoError(t, err, "%s: %s", page, query)
				require.NoError(t, tx.Rollback(t.Context()))
				executed++
			}
		}
	}
	require.Greater(t, executed, 10)
}

func withoutComments(sql string) string { return regexp.MustCompile(`--.*`).ReplaceAllString(sql, "") }
