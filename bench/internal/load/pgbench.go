package load

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RawSchema makes the tables and the function that the raw scripts call.
//
//go:embed raw_schema.sql
var RawSchema string

//go:embed raw_uniform.pgbench
var rawUniform string

//go:embed raw_hot.pgbench
var rawHot string

//go:embed raw_batch.pgbench
var rawBatch string

// RawBatchSize is how many transfers one statement of RawBatch makes.
const RawBatchSize = 100

// Raw is a pgbench script on RawSchema.
type Raw struct {
	name, script string
	// PerTransaction is how many transfers one pgbench transaction makes.
	PerTransaction int
}

// The scripts: transfers between any two of 10,000 accounts, from one hot
// account, and RawBatchSize transfers per statement.
var (
	RawUniform = Raw{"uniform", rawUniform, 1}
	RawHot     = Raw{"hot", rawHot, 1}
	RawBatch   = Raw{"batch", rawBatch, RawBatchSize}
)

// Pgbench runs scripts against one database.
type Pgbench struct {
	path string
	dir  string
	args []string
	env  []string
}

// ErrPgbenchNotFound says that pgbench is not installed, and where it comes from.
var ErrPgbenchNotFound = errors.New("pgbench not found beside the PostgreSQL server or on PATH; " +
	"install it: Debian and Ubuntu: it comes with apt-get install postgresql; " +
	"Fedora and RHEL: dnf install postgresql-contrib; " +
	"Alpine: apk add postgresql-contrib; " +
	"macOS: it comes with brew install postgresql@16")

// NewPgbench prepares pgbench, from binDir or else from PATH, for the database
// at databaseURL; dir keeps its scripts and logs. Errors: ErrPgbenchNotFound.
func NewPgbench(binDir, dir, databaseURL string) (*Pgbench, error) {
	path, err := exec.LookPath(filepath.Join(binDir, "pgbench"))
	if err != nil {
		if path, err = exec.LookPath("pgbench"); err != nil {
			return nil, ErrPgbenchNotFound
		}
	}
	target, err := url.Parse(databaseURL)
	if err != nil {
		return nil, errors.New("pgbench: the database URL cannot be read")
	}
	password, _ := target.User.Password()
	return &Pgbench{
		path: path, dir: dir,
		args: []string{
			"-h", target.Hostname(), "-p", target.Port(), "-U", target.User.Username(),
			"-n", "-M", "prepared",
		},
		env: append(os.Environ(), "PGPASSWORD="+password, "PGDATABASE="+strings.TrimPrefix(target.Path, "/"), "LC_ALL=C"),
	}, nil
}

// Run runs a script with a number of clients for whole seconds. The sample's
// rate and count are transfers; it has no latencies.
func (p *Pgbench) Run(ctx context.Context, raw Raw, clients int, duration time.Duration) (Sample, error) {
	return p.run(ctx, raw, clients, duration)
}

// RunLatency is Run with one client, with latencies. pgbench logs every
// transaction for them, which one client does not notice.
func (p *Pgbench) RunLatency(ctx context.Context, raw Raw, duration time.Duration) (Sample, error) {
	dir, err := os.MkdirTemp(p.dir, "latency-")
	if err != nil {
		return Sample{}, err
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Join(dir, "log")
	sample, err := p.run(ctx, raw, 1, duration, "-l", "--log-prefix="+prefix)
	if err != nil {
		return Sample{}, err
	}
	latencies, err := readLatencies(prefix)
	if err != nil {
		return Sample{}, err
	}
	sample.P50, sample.P99 = Percentile(latencies, 50), Percentile(latencies, 99)
	return sample, nil
}

func (p *Pgbench) run(ctx context.Context, raw Raw, clients int, duration time.Duration, more ...string) (Sample, error) {
	script := filepath.Join(p.dir, raw.name+".pgbench")
	if err := os.WriteFile(script, []byte(raw.script), 0o600); err != nil {
		return Sample{}, err
	}
	args := slices.Concat(p.args, more, []string{
		"-f", script, "-j", strconv.Itoa(min(2, clients)), "-c", strconv.Itoa(clients), "-T", seconds(duration),
	})
	cmd := command(ctx, p.path, args...)
	cmd.Env = p.env
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		return Sample{}, fmt.Errorf("pgbench: %w: %s", err, lastLines(failure.String()))
	}
	sample, err := parsePgbench(out.String())
	if err != nil {
		return Sample{}, err
	}
	sample.Rate *= float64(raw.PerTransaction)
	sample.Done *= int64(raw.PerTransaction)
	return sample, nil
}

var (
	pgbenchRate   = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial connection time\)`)
	pgbenchDone   = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	pgbenchFailed = regexp.MustCompile(`(?m)^number of failed transactions: (\d+)`)
)

// parsePgbench reads pgbench's report. A run with failed transactions is no
// measurement.
func parsePgbench(out string) (Sample, error) {
	rate, done := pgbenchRate.FindStringSubmatch(out), pgbenchDone.FindStringSubmatch(out)
	if rate == nil || done == nil {
		return Sample{}, fmt.Errorf("pgbench: no rate in its report: %s", lastLines(out))
	}
	if failed := pgbenchFailed.FindStringSubmatch(out); failed != nil && failed[1] != "0" {
		return Sample{}, fmt.Errorf("pgbench: %s transactions failed", failed[1])
	}
	var sample Sample
	var err error
	if sample.Rate, err = strconv.ParseFloat(rate[1], 64); err != nil {
		return Sample{}, fmt.Errorf("pgbench: %w", err)
	}
	if sample.Done, err = strconv.ParseInt(done[1], 10, 64); err != nil {
		return Sample{}, fmt.Errorf("pgbench: %w", err)
	}
	return sample, nil
}
