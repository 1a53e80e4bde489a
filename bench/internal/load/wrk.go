package load

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

//go:embed transfer.lua
var transferScript string

// Tenant is a business that load is sent for.
type Tenant struct {
	// Key is an API key.
	Key string
	// Accounts are ids; the first is the source of a Hot load.
	Accounts []string
}

// Transfers is a load of POST requests that move 1 between random accounts of
// random tenants.
type Transfers struct {
	// Tenants have at least two accounts each.
	Tenants []Tenant
	// Connections are kept open and busy all the time.
	Connections int
	// Hot makes the first account of a tenant the source of every transfer.
	Hot bool
	// Batch is how many transfers one request makes; 0 posts single ones.
	Batch int
}

// Wrk runs the HTTP load generator of that name (https://github.com/wg/wrk).
type Wrk struct {
	path, dir string
}

// NewWrk prepares wrk, which must be on PATH; dir keeps its script and input
// while it runs.
// Errors: ErrWrkNotFound.
func NewWrk(dir string) (*Wrk, error) {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return nil, ErrWrkNotFound
	}
	return &Wrk{path: path, dir: dir}, nil
}

// RunOn is Run with the connections shared out among several APIs, each with a
// process of wrk, all at once. Percentiles are the largest of any of them.
func (w *Wrk) RunOn(ctx context.Context, apiURLs []string, load Transfers, duration time.Duration) (Sample, error) {
	samples := make([]Sample, len(apiURLs))
	load.Connections /= len(apiURLs)
	group, ctx := errgroup.WithContext(ctx)
	for i, url := range apiURLs {
		group.Go(func() (err error) {
			samples[i], err = w.Run(ctx, url, load, duration)
			return err
		})
	}
	err := group.Wait()
	return together(samples), err
}

// Run sends the load to the API at apiURL for whole seconds, from one thread.
// An answer that is not a success, and a broken connection, make it an error:
// refused requests are cheap and would flatter the rate. The sample's rate and
// count are transfers, its latencies those of requests.
func (w *Wrk) Run(ctx context.Context, apiURL string, load Transfers, duration time.Duration) (Sample, error) {
	// Of its own: two of these may run at once.
	dir, err := os.MkdirTemp(w.dir, "wrk-")
	if err != nil {
		return Sample{}, err
	}
	defer os.RemoveAll(dir)
	script, tenants, err := write(dir, load)
	if err != nil {
		return Sample{}, err
	}
	cmd := command(ctx, w.path, "-t1", "-c", strconv.Itoa(load.Connections), "-d", seconds(duration)+"s",
		"--timeout", "10s", "-s", script, apiURL)
	hot := "0"
	if load.Hot {
		hot = "1"
	}
	cmd.Env = append(os.Environ(), "TENANTS="+tenants, "HOT="+hot, "BATCH="+strconv.Itoa(load.Batch),
		"SEED="+strconv.FormatInt(rand.Int64N(1<<50), 10))
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		return Sample{}, fmt.Errorf("wrk: %w: %s", err, lastLines(failure.String()))
	}
	return parseWrk(out.String(), max(load.Batch, 1))
}

// write leaves what transfer.lua needs in a directory.
func write(dir string, load Transfers) (script, tenants string, err error) {
	script, tenants = filepath.Join(dir, "transfer.lua"), filepath.Join(dir, "tenants.txt")
	var lines strings.Builder
	for _, tenant := range load.Tenants {
		lines.WriteString(tenant.Key + " " + strings.Join(tenant.Accounts, " ") + "\n")
	}
	return script, tenants, errors.Join(
		os.WriteFile(script, []byte(transferScript), 0o600),
		os.WriteFile(tenants, []byte(lines.String()), 0o600),
	)
}

// wrkResult is what transfer.lua prints at the end.
type wrkResult struct {
	Requests   int64 `json:"requests"`
	DurationUs int64 `json:"duration_us"`
	P50Us      int64 `json:"p50_us"`
	P99Us      int64 `json:"p99_us"`
	Connect    int64 `json:"connect"`
	Read       int64 `json:"read"`
	Write      int64 `json:"write"`
	Status     int64 `json:"status"`
	Timeout    int64 `json:"timeout"`
}

func parseWrk(out string, perRequest int) (Sample, error) {
	_, text, found := strings.Cut(out, "RESULT ")
	var result wrkResult
	if !found || json.Unmarshal([]byte(text), &result) != nil || result.DurationUs <= 0 {
		return Sample{}, fmt.Errorf("wrk: no result in its report: %s", lastLines(out))
	}
	if result.Status+result.Connect+result.Read+result.Write+result.Timeout > 0 {
		return Sample{}, fmt.Errorf("wrk: of %d requests %d were refused, %d timed out; broken connections: %d",
			result.Requests, result.Status, result.Timeout, result.Connect+result.Read+result.Write)
	}
	if result.Requests == 0 {
		return Sample{}, errors.New("wrk: no request was answered")
	}
	done := result.Requests * int64(perRequest)
	return Sample{
		Rate: float64(done) / (float64(result.DurationUs) / 1e6),
		P50:  time.Duration(result.P50Us) * time.Microsecond,
		P99:  time.Duration(result.P99Us) * time.Microsecond,
		Done: done,
	}, nil
}
