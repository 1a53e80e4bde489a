package docs_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

var update = flag.Bool("update", false, "write docs/schema.md again")

// TestSchemaPageIsCurrent compares docs/schema.md with the schema of a migrated
// database.
func TestSchemaPageIsCurrent(t *testing.T) {
	t.Parallel()
	want := renderSchema(t, dbtest.New(t).Pool)
	file := filepath.Join(root, "docs", "schema.md")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o600))
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "write it again: make schema")
}

// selfExplaining are columns that need no comment in any table.
var selfExplaining = []string{
	"business_id", "id", "name", "url", "description", "metadata", "currency", "transaction_id", "account_id", "event_id", "webhook_id",
	"delivery_id", "replay_id", "key", "value", "type", "status", "created_at", "updated_at", "started_at", "finished_at", "attempted_at",
}

// TestTheSchemaExplainsItself: every table has a comment, and every column whose name
// does not say it all.
func TestTheSchemaExplainsItself(t *testing.T) {
	t.Parallel()
	for _, table := range readTables(t, dbtest.New(t).Pool) {
		require.NotEmpty(t, table.comment, table.name)
		for _, c := range table.columns {
			if !slices.Contains(selfExplaining, c.name) {
				require.NotEmpty(t, c.comment, "%s.%s", table.name, c.name)
			}
		}
	}
}

// proved are references without a foreign key: from column to table, and what keeps
// them instead.
var proved = []struct{ table, columns, to string }{
	{"transactions", "source_account_id, destination_account_id", "business_accounts"},
	{"transactions", "hold_id", "holds"},
	{"transactions", "reverses_transaction_id", "transactions"},
	{"transaction_metadata", "transaction_id", "transactions"},
	{"entries", "account_id", "business_accounts"},
	{"entries", "transaction_id", "transactions"},
	{"webhook_events", "business_id", "businesses"},
	{"webhook_outbox", "event_id", "webhook_events"},
	{"webhook_deliveries", "event_id", "webhook_events"},
	{"webhook_deliveries", "webhook_id", "webhooks"},
	{"webhook_attempts", "delivery_id", "webhook_deliveries"},
	{"webhook_lanes", "owner", "webhook_dispatchers"},
	{"webhook_replays", "delivery_id", "webhook_deliveries"},
	{"webhook_replays", "event_id", "webhook_events"},
}

const schemaIntroduction = `# Schema

Made from the migrated database by a test, which fails when this page is stale:

` + "```sh" + `
make schema
` + "```" + `

Objects of a tenant lead their keys with ` + "`business_id`" + `, so that a reference across tenants
cannot be stored; indexes that dispatchers walk do not, because they cut across tenants.
Amounts are integers of minor units; ids are UUIDs of version 7, which the API shows as
TypeIDs. [architecture.md](architecture.md) says how the tables work together.

## Diagram

A solid line is a foreign key. A dotted one is a reference that the ledger or the dispatcher
proves while it writes and ` + "`txnctl ledger verify`" + ` looks after: foreign keys there cost a third
of the throughput.

`

func renderSchema(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	tables := readTables(t, pool)
	var text strings.Builder
	text.WriteString(schemaIntroduction)
	renderDiagram(&text, tables)
	text.WriteString("## Tables\n\n")
	for _, table := range tables {
		first, _, _ := strings.Cut(table.comment, ";")
		first, _, _ = strings.Cut(first, ". ")
		fmt.Fprintf(&text, "- [%s](#%s): %s\n", table.name, table.name, strings.TrimSuffix(first, "."))
	}
	for _, table := range tables {
		table.render(&text)
	}
	text.WriteString("\n## Functions\n\n")
	for _, f := range readFunctions(t, pool) {
		fmt.Fprintf(&text, "- `%s`: %s\n", f[0], f[1])
	}
	return text.String()
}

func renderDiagram(text *strings.Builder, tables []table) {
	text.WriteString("```mermaid\nerDiagram\n")
	for _, table := range tables {
		fmt.Fprintf(text, "    %s {\n", table.name)
		for _, c := range table.columns {
			if key := table.keyOf(c.name); key != "" {
				fmt.Fprintf(text, "        %s %s %s\n", strings.Fields(c.kind)[0], c.name, key)
			}
		}
		text.WriteString("    }\n")
	}
	for _, table := range tables {
		for _, f := range table.foreign {
			fmt.Fprintf(text, "    %s ||--o{ %s : \"%s\"\n", f.to, table.name, strings.Join(f.columns, ", "))
		}
		for _, p := range proved {
			if p.table == table.name {
				fmt.Fprintf(text, "    %s ||..o{ %s : \"%s\"\n", p.to, table.name, p.columns)
			}
		}
	}
	text.WriteString("```\n\n")
}

type table struct {
	name, comment, storage string
	columns                []column
	foreign                []foreignKey
	// primary are the columns of the primary key.
	primary []string
	// constraints and the like are rendered lines.
	constraints, indexes, triggers []string
}

type column struct {
	name, kind, byDefault, comment string
	nullable                       bool
}

type foreignKey struct {
	to      string
	columns []string
}

// keyOf is how the diagram marks a column, empty for one that it leaves out.
func (tb *table) keyOf(name string) string {
	var marks []string
	if slices.Contains(tb.primary, name) {
		marks = append(marks, "PK")
	}
	if slices.ContainsFunc(tb.foreign, func(f foreignKey) bool { return slices.Contains(f.columns, name) }) {
		marks = append(marks, "FK")
	}
	return strings.Join(marks, ",")
}

func (tb *table) render(text *strings.Builder) {
	fmt.Fprintf(text, "\n### %s\n\n%s\n\n| column | type | null | default | |\n|---|---|---|---|---|\n", tb.name, tb.comment)
	for _, c := range tb.columns {
		null := ""
		if c.nullable {
			null = "yes"
		}
		fmt.Fprintf(text, "| `%s` | %s | %s | %s | %s |\n", c.name, c.kind, null, code(c.byDefault), cell(c.comment))
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"Constraints", tb.constraints}, {"Indexes", tb.indexes}, {"Triggers", tb.triggers}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(text, "\n%s:\n\n", list.title)
			for _, line := range list.lines {
				fmt.Fprintf(text, "- %s\n", line)
			}
		}
	}
	if tb.storage != "" {
		fmt.Fprintf(text, "\nStorage: %s\n", code(tb.storage))
	}
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}

// cell is text for a table of Markdown, in which a * is no emphasis.
func cell(text string) string { return strings.NewReplacer("|", `\|`, "*", `\*`).Replace(text) }

// readTables returns the tables in the order in which the migrations made them.
func readTables(t *testing.T, pool *pgxpool.Pool) []table {
	t.Helper()
	type row struct {
		OID                    uint32
		Name, Comment, Storage string
	}
	rows := query[row](t, pool, `SELECT c.oid, c.relname AS name, coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
			coalesce(array_to_string(c.reloptions, ', '), '') AS storage
		FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'goose_db_version'
		ORDER BY c.oid`)
	tables := make([]table, len(rows))
	for i, r := range rows {
		tables[i] = table{name: r.Name, comment: r.Comment, storage: r.Storage}
		tables[i].readColumns(t, pool, r.OID)
		tables[i].readConstraints(t, pool, r.OID)
		tables[i].indexes = query[string](t, pool, `SELECT CASE WHEN x.indisunique THEN 'unique ' ELSE '' END || '`+"`"+`' || i.relname || '`+"`: `"+`'
				|| regexp_replace(pg_get_indexdef(x.indexrelid), '^.* USING ', '') || '`+"`"+`'
			FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
			WHERE x.indrelid = $1 AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = x.indexrelid AND contype IN ('p', 'u')) ORDER BY i.relname`, r.OID)
		tables[i].triggers = query[string](t, pool, `SELECT '`+"`"+`' || tgname || '`+"`: `"+`' || regexp_replace(pg_get_triggerdef(oid), '^CREATE TRIGGER \S+ ', '') || '`+"`"+`'
			FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY tgname`, r.OID)
	}
	return tables
}

func (tb *table) readColumns(t *testing.T, pool *pgxpool.Pool, oid uint32) {
	t.Helper()
	type row struct {
		Name, Kind, ByDefault, Comment string
		Nullable                       bool
	}
	for _, r := range query[row](t, pool, `SELECT a.attname AS name,
			format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation NOT IN (0, (SELECT oid FROM pg_collation WHERE collname = 'default'))
				THEN ' COLLATE "' || (SELECT collname FROM pg_collation WHERE oid = a.attcollation) || '"' ELSE '' END AS kind,
			CASE WHEN a.attidentity = 'a' THEN 'generated always' ELSE coalesce(pg_get_expr(d.adbin, d.adrelid), '') END AS by_default,
			coalesce(col_description(a.attrelid, a.attnum), '') AS comment, NOT a.attnotnull AS nullable
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, oid) {
		tb.columns = append(tb.columns, column{name: r.Name, kind: r.Kind, byDefault: r.ByDefault, comment: r.Comment, nullable: r.Nullable})
	}
}

func (tb *table) readConstraints(t *testing.T, pool *pgxpool.Pool, oid uint32) {
	t.Helper()
	type row struct {
		Name, Kind, Definition, Target string
		Columns                        []string
	}
	for _, r := range query[row](t, pool, `SELECT conname AS name, contype::text AS kind, pg_get_constraintdef(oid) AS definition,
			CASE WHEN confrelid <> 0 THEN confrelid::regclass::text ELSE '' END AS target,
			ARRAY(SELECT a.attname::text FROM unnest(conkey) WITH ORDINALITY AS k (number, place)
				JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.number ORDER BY k.place) AS columns
		FROM pg_constraint WHERE conrelid = $1 AND contype IN ('p', 'u', 'f', 'c')
		ORDER BY position(contype::text IN 'pufc'), conname`, oid) {
		tb.constraints = append(tb.constraints, fmt.Sprintf("`%s`: %s", r.Name, code(r.Definition)))
		switch r.Kind {
		case "p":
			tb.primary = r.Columns
		case "f":
			tb.foreign = append(tb.foreign, foreignKey{to: r.Target, columns: r.Columns})
		}
	}
}

func readFunctions(t *testing.T, pool *pgxpool.Pool) [][2]string {
	t.Helper()
	type row struct{ Signature, Comment string }
	var found [][2]string
	for _, r := range query[row](t, pool, `SELECT proname || '(' || pg_get_function_arguments(oid) || ') → ' || pg_get_function_result(oid) AS signature,
			coalesce(obj_description(oid, 'pg_proc'), '') AS comment
		FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY proname`) {
		found = append(found, [2]string{r.Signature, r.Comment})
	}
	return found
}

// query returns the rows of a statement, as structs by name or as single values.
func query[T any](t *testing.T, pool *pgxpool.Pool, sql string, arguments ...any) []T {
	t.Helper()
	rows, err := pool.Query(context.WithoutCancel(t.Context()), sql, arguments...)
	require.NoError(t, err)
	collect := pgx.RowTo[T]
	if len(rows.FieldDescriptions()) > 1 {
		collect = pgx.RowToStructByName[T]
	}
	found, err := pgx.CollectRows(rows, collect)
	require.NoError(t, err)
	return found
}
