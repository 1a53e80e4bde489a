package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/database"
)

// auditLock is the advisory lock that one auditor at a time holds, whatever the
// number of processes.
const auditLock int64 = 0x74786e_617564 // "txn", "aud"

// auditPause spreads a pass over time: a step is some milliseconds of work.
const auditPause = 250 * time.Millisecond

// maxLoggedFindings bounds what one pass writes to the log.
const maxLoggedFindings = 100

// errAuditedElsewhere says that another process is at it.
var errAuditedElsewhere = errors.New("another process audits")

// Auditor verifies the whole ledger again and again, at a low rate.
type Auditor struct {
	DB *database.DB
	// Rest is kept between passes.
	Rest time.Duration
	Log  logrus.FieldLogger
	// Passed is told about every complete pass: the broken promises that it found
	// and how long it took.
	Passed func(findings int, took time.Duration)
}

// Run audits until ctx ends.
func (a *Auditor) Run(ctx context.Context) {
	for ctx.Err() == nil {
		started := time.Now()
		findings, err := a.pass(ctx)
		switch {
		case err == nil:
			a.Passed(findings, time.Since(started))
		case ctx.Err() == nil && !errors.Is(err, errAuditedElsewhere):
			a.Log.WithError(err).Warn("the audit of the ledger broke off; it starts again")
		}
		pause(ctx, a.Rest)
	}
}

// pass is one audit of everything. Its connection keeps the advisory lock and is
// idle otherwise.
func (a *Auditor) pass(ctx context.Context) (findings int, err error) {
	conn, err := a.DB.Pool.Acquire(ctx)
	if err != nil {
		return 0, fmt.Errorf("acquiring a connection: %w", err)
	}
	defer conn.Release()
	var locked bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, auditLock).Scan(&locked); err != nil {
		return 0, fmt.Errorf("taking the audit lock: %w", err)
	}
	if !locked {
		return 0, errAuditedElsewhere
	}
	defer func() {
		if _, unlockErr := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, auditLock); unlockErr != nil {
			_ = conn.Conn().Close(context.WithoutCancel(ctx)) // a closed session has no locks
		}
	}()
	_, err = Verify(ctx, a.DB, Audit{Pause: auditPause, Found: func(f Finding) {
		findings++
		if findings <= maxLoggedFindings {
			a.Log.WithFields(logrus.Fields{"business_id": f.BusinessID.String(), "subject": f.Subject, "check": f.Check}).
				Error("the ledger is broken: " + f.Detail)
		}
	}})
	return findings, err
}
