package doctor

import (
	"context"
	"fmt"
)

// checkSchema finds a schema that is not that of this release.
func checkSchema(ctx context.Context, p *patient) (verdict, error) {
	applied, carried, err := p.db.SchemaVersion(ctx)
	if err != nil {
		return verdict{}, err
	}
	switch {
	case applied < carried:
		return fail(fmt.Sprintf("schema %d, this release needs %d", applied, carried), "run txnctl migrate up"), nil
	case applied > carried:
		p.foreign = true
		return warn(fmt.Sprintf("schema %d is newer than this txnctl, which knows %d", applied, carried),
			"use the txnctl of the newer release, or finish its rollout"), nil
	default:
		return ok("schema %d", applied), nil
	}
}
