package doctor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	// deadNoticed is how many dead rows slow anything down.
	deadNoticed = 100_000
	// deadBehind is how often a table may be over the threshold at which autovacuum
	// comes: it looks around once a minute.
	deadBehind = 10
)

// A table's own settings go before the server's.
const vacuumSQL = `SELECT c.relname, pg_stat_get_dead_tuples(c.oid),
    coalesce((SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_vacuum_threshold'),
        current_setting('autovacuum_vacuum_threshold'))::float8
    + greatest(c.reltuples, 0) * coalesce((SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_vacuum_scale_factor'),
        current_setting('autovacuum_vacuum_scale_factor'))::float8,
    coalesce((SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_enabled'), 'true')::boolean
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname = ANY ($1)
ORDER BY pg_stat_get_dead_tuples(c.oid) DESC`

// checkVacuum finds tables whose dead rows pile up: every reading of them gets
// slower, and the files grow.
func checkVacuum(ctx context.Context, p *patient) (verdict, error) {
	for _, name := range []string{"autovacuum", "track_counts"} {
		value, err := p.setting(ctx, name)
		if err != nil {
			return verdict{}, err
		}
		if value != "on" {
			return fail(name+" is off: dead rows pile up until the disk is full", "ALTER SYSTEM SET "+name+" = on; SELECT pg_reload_conf()"), nil
		}
	}
	_, tables := expected()
	rows, err := p.db.Pool.Query(ctx, vacuumSQL, tables)
	if err != nil {
		return verdict{}, err
	}
	var behind, disabled []string
	var table string
	var dead, most int64
	var threshold float64
	var enabled bool
	_, err = pgx.ForEachRow(rows, []any{&table, &dead, &threshold, &enabled}, func() error {
		most = max(most, dead)
		if !enabled {
			disabled = append(disabled, table)
		} else if dead > deadNoticed && float64(dead) > deadBehind*threshold {
			behind = append(behind, fmt.Sprintf("%s (%d)", table, dead))
		}
		return nil
	})
	if err != nil {
		return verdict{}, err
	}
	switch {
	case len(disabled) > 0:
		return warn("autovacuum is off for "+list(disabled), "ALTER TABLE "+disabled[0]+" RESET (autovacuum_enabled)"), nil
	case len(behind) > 0:
		return warn("dead rows pile up in "+list(behind),
			"end long transactions first; then VACUUM (ANALYZE) these tables, and give autovacuum more workers or a lower cost delay"), nil
	default:
		return ok("at most %s in a table", count(most, "dead row", "dead rows")), nil
	}
}
