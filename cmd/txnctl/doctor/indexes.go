package doctor

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// schemaIndexes is what PostgreSQL says of the indexes after all migrations, one
// definition a line. A test makes it from a migrated database.
//
//go:embed indexes.sql
var schemaIndexes string

var definition = regexp.MustCompile(`INDEX (\S+) ON public\.(\S+) `)

// expected returns the definitions by the index's name, and the tables that have
// one: ours.
func expected() (definitions map[string]string, tables []string) {
	definitions = map[string]string{}
	for line := range strings.Lines(schemaIndexes) {
		line = strings.TrimSpace(line)
		parts := definition.FindStringSubmatch(line)
		definitions[parts[1]] = line
		tables = append(tables, parts[2])
	}
	return definitions, tables
}

// index is one that the database has on a table of ours.
type index struct {
	name, definition string
	// valid is false for one whose building was cut off.
	valid, unique bool
	scans, writes int64
}

const indexesSQL = `SELECT i.relname, pg_get_indexdef(i.oid), x.indisvalid AND x.indisready, x.indisunique,
    coalesce(pg_stat_get_numscans(i.oid), 0),
    pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class c ON c.oid = x.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1)
ORDER BY i.relname`

func (p *patient) indexes(ctx context.Context, tables []string) ([]index, error) {
	rows, err := p.db.Pool.Query(ctx, indexesSQL, tables)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (index, error) {
		var i index
		return i, row.Scan(&i.name, &i.definition, &i.valid, &i.unique, &i.scans, &i.writes)
	})
}

// checkIndexes finds indexes of the schema that are missing, were not finished or
// are not what the migrations made.
func checkIndexes(ctx context.Context, p *patient) (verdict, error) {
	if p.foreign {
		return skipped("the schema is of another release"), nil
	}
	definitions, tables := expected()
	found, err := p.indexes(ctx, tables)
	if err != nil {
		return verdict{}, err
	}
	var invalid, other []string
	missing := make(map[string]string, len(definitions))
	for name, text := range definitions {
		missing[name] = text
	}
	for _, i := range found {
		text, ours := definitions[i.name]
		delete(missing, i.name)
		switch {
		case !i.valid:
			invalid = append(invalid, i.name)
		case ours && text != i.definition:
			other = append(other, i.name)
		}
	}
	return judgeIndexes(missing, invalid, other, len(definitions)), nil
}

func judgeIndexes(missing map[string]string, invalid, other []string, total int) verdict {
	switch {
	case len(missing) > 0:
		var names, statements []string
		for name, text := range missing {
			names = append(names, name)
			statements = append(statements, strings.Replace(text, "INDEX ", "INDEX CONCURRENTLY ", 1))
		}
		slices.Sort(names)
		slices.Sort(statements)
		return fail("missing: "+strings.Join(names, ", "), strings.Join(statements, "; "))
	case len(invalid) > 0:
		return fail("not finished, and so not used: "+list(invalid), "REINDEX INDEX CONCURRENTLY "+invalid[0]+", or DROP INDEX one whose name ends in _ccnew")
	case len(other) > 0:
		return warn("not as the migrations made them: "+list(other), "compare them with the migrations: a plan may miss what they leave out")
	default:
		return ok("all %d of the schema", total)
	}
}

// busy is how many rows a table was written for its unused indexes to be worth a
// word.
const busy = 10_000

// checkUnusedIndexes finds indexes that somebody added and nobody reads: each
// movement pays for them. Those of the schema that wait for their first use are
// only counted.
func checkUnusedIndexes(ctx context.Context, p *patient) (verdict, error) {
	if p.foreign {
		return skipped("the schema is of another release"), nil
	}
	definitions, tables := expected()
	found, err := p.indexes(ctx, tables)
	if err != nil {
		return verdict{}, err
	}
	var added, waste []string
	waiting := int64(0)
	for _, i := range found {
		_, ours := definitions[i.name]
		switch {
		case ours && i.scans == 0 && !i.unique:
			waiting++
		case !ours && i.scans == 0 && !i.unique && i.writes >= busy:
			waste = append(waste, i.name)
		case !ours:
			added = append(added, i.name)
		}
	}
	if len(waste) > 0 {
		return warn("not of the schema, written all the time and never read since the statistics began: "+list(waste),
			"DROP INDEX CONCURRENTLY "+waste[0]+", unless a rare report needs it"), nil
	}
	detail := fmt.Sprintf("%s of the schema not read yet", count(waiting, "index", "indexes"))
	if len(added) > 0 {
		detail += "; added to it: " + list(added)
	}
	return ok("%s", detail), nil
}
