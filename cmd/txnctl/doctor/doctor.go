// Package doctor examines an installation: its configuration, PostgreSQL, Redis,
// keys, dispatchers and holds. It says of each finding what to do, and changes
// nothing.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/database"
)

// Status is how what was checked is.
type Status string

// A warning is something that works and should be changed; a failure does not
// work, or risks money. What could not be looked at because of another finding is
// skipped.
const (
	OK      Status = "ok"
	Warn    Status = "warn"
	Fail    Status = "fail"
	Skipped Status = "skipped"
)

// Finding is what one check found.
type Finding struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Detail string `json:"detail"`
	// Advice says what to do; empty when there is nothing to do.
	Advice string `json:"advice"`
}

// Options say what to examine.
type Options struct {
	// ConfigFile is as for the services; empty for none.
	ConfigFile string
	// Environment is where variables are looked for that set nothing, as
	// os.Environ returns it.
	Environment []string
	// Timeout bounds each check. Defaults to 5 s.
	Timeout time.Duration
	// LongTransaction is how long a transaction may be open, IdleTransaction how
	// long one may wait for its client. Default to 5 min and 1 min.
	LongTransaction, IdleTransaction time.Duration
	// Now is this machine's clock. Defaults to time.Now.
	Now func() time.Time
}

const (
	defaultTimeout         = 5 * time.Second
	defaultLongTransaction = 5 * time.Minute
	defaultIdleTransaction = time.Minute
)

// patient is what is examined, as far as it has been reached.
type patient struct {
	Options

	settings config.Config
	db       *database.DB
	redis    *redis.Client
	// foreign says that the schema is of another release than this binary.
	foreign bool
}

// check is one look at the patient. What builds on it comes after it, and is
// skipped when there is nothing to build on.
type check struct {
	name string
	look func(ctx context.Context, p *patient) (verdict, error)
	then []check
}

// checks lists everything, in the order of the report.
var checks = check{"config.load", loadConfig, []check{
	{"config.environment", checkEnvironment, nil},
	{"config.values", checkValues, nil},
	{"config.encryption_keys", checkEncryptionKeys, nil},
	{"config.rate_limit", checkRateLimit, nil},
	{"config.allow_insecure", checkAllowInsecure, nil},
	{"config.transport", checkTransport, nil},
	{"config.trusted_proxies", checkTrustedProxies, nil},
	{"postgres.reachable", connectPostgres, []check{
		{"postgres.version", checkVersion, nil},
		{"postgres.fsync", checkFsync, nil},
		{"postgres.full_page_writes", checkFullPageWrites, nil},
		{"postgres.synchronous_commit", checkSynchronousCommit, nil},
		{"postgres.data_checksums", checkDataChecksums, nil},
		{"postgres.archiving", tellArchiving, nil},
		{"postgres.checkpoints", checkCheckpoints, nil},
		{"postgres.connections", checkConnections, nil},
		{"postgres.listen", checkListen, nil},
		{"postgres.clock", checkClock, nil},
		{"postgres.long_transactions", checkLongTransactions, nil},
		{"postgres.idle_transactions", checkIdleTransactions, nil},
		{"postgres.prepared", checkPreparedTransactions, nil},
		{"postgres.wraparound", checkWraparound, nil},
		{"postgres.schema", checkSchema, []check{
			{"postgres.indexes", checkIndexes, nil},
			{"postgres.unused_indexes", checkUnusedIndexes, nil},
			{"postgres.vacuum", checkVacuum, nil},
			{"keys.secrets", checkSecrets, nil},
			{"dispatcher.running", checkDispatchers, nil},
			{"dispatcher.backlog", checkBacklog, nil},
			{"webhooks.disabled", checkDisabledWebhooks, nil},
			{"ledger.overdue_holds", checkOverdueHolds, nil},
		}},
	}},
	{"redis.reachable", connectRedis, []check{
		{"redis.memory", checkMemory, nil},
		{"redis.notifications", checkNotifications, nil},
		{"redis.persistence", tellPersistence, nil},
	}},
}}

// Examine looks at everything and returns a finding per check, always the same
// checks in the same order. It takes no longer than the timeout for each.
func Examine(ctx context.Context, options Options) []Finding {
	if options.Timeout == 0 {
		options.Timeout = defaultTimeout
	}
	if options.LongTransaction == 0 {
		options.LongTransaction = defaultLongTransaction
	}
	if options.IdleTransaction == 0 {
		options.IdleTransaction = defaultIdleTransaction
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	p := &patient{Options: options}
	defer p.close()
	return p.examine(ctx, nil, checks)
}

// Healthy reports whether nothing fails.
func Healthy(findings []Finding) bool {
	for _, f := range findings {
		if f.Status == Fail {
			return false
		}
	}
	return true
}

func (p *patient) examine(ctx context.Context, findings []Finding, c check) []Finding {
	v := p.look(ctx, c)
	findings = append(findings, Finding{Name: c.name, Status: v.status, Detail: v.detail, Advice: v.advice})
	for _, next := range c.then {
		if v.status == Fail || v.status == Skipped {
			findings = skip(findings, next, c.name)
			continue
		}
		findings = p.examine(ctx, findings, next)
	}
	return findings
}

// look runs one check within its time.
func (p *patient) look(ctx context.Context, c check) verdict {
	late := fmt.Errorf("no answer within %s", p.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, p.Timeout, late)
	defer cancel()
	v, err := c.look(ctx, p)
	switch {
	case err == nil:
		return v
	case errors.Is(context.Cause(ctx), late):
		return fail("it could not be looked at: "+late.Error(), "look at what PostgreSQL is busy with: SELECT * FROM pg_stat_activity")
	default:
		return fail("it could not be looked at: "+err.Error(), "remove the cause and run txnctl doctor again")
	}
}

func skip(findings []Finding, c check, because string) []Finding {
	findings = append(findings, Finding{Name: c.name, Status: Skipped, Detail: "needs " + because})
	for _, next := range c.then {
		findings = skip(findings, next, because)
	}
	return findings
}

func (p *patient) close() {
	if p.db != nil {
		p.db.Close()
	}
	if p.redis != nil {
		_ = p.redis.Close() // there is nothing to save
	}
}
