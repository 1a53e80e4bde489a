package doctor

import (
	"context"
	"fmt"
)

// wraparoundNear is the age at which a cluster is half-way to refusing writes.
const wraparoundNear = 1_000_000_000

// ages are how far transaction ids have moved on since the oldest row that has not
// been frozen, and how far they may before autovacuum freezes unasked.
type ages struct {
	ids, multi           int64
	idsLimit, multiLimit int64
}

// checkWraparound finds a database that vacuum does not keep young enough.
// PostgreSQL refuses writes at about two thousand million.
func checkWraparound(ctx context.Context, p *patient) (verdict, error) {
	var a ages
	err := p.row(ctx, `SELECT age(datfrozenxid)::bigint, mxid_age(datminmxid)::bigint,
		current_setting('autovacuum_freeze_max_age')::bigint, current_setting('autovacuum_multixact_freeze_max_age')::bigint
		FROM pg_database WHERE datname = current_database()`).Scan(&a.ids, &a.multi, &a.idsLimit, &a.multiLimit)
	if err != nil {
		return verdict{}, err
	}
	return a.judge(), nil
}

// Autovacuum begins at the limit; at twice the limit it has not managed.
func (a ages) judge() verdict {
	detail := fmt.Sprintf("transaction ids are %d old, multixacts %d", a.ids, a.multi)
	const advice = "end long transactions and forgotten prepared ones, drop unused replication slots, then VACUUM (FREEZE)"
	switch {
	case max(a.ids, a.multi) > wraparoundNear:
		return fail(detail+": PostgreSQL refuses writes at about 2000000000", advice)
	case a.ids > 2*a.idsLimit || a.multi > 2*a.multiLimit:
		return warn(detail+": autovacuum does not keep up with freezing", advice)
	default:
		return ok("%s", detail)
	}
}
