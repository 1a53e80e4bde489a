package main

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/cmd/txnctl/bench"
)

// benchFunds is what the accounts of a load get, in minor units: more than it can
// move.
const benchFunds = 1_000_000_000

var benchView = view[bench.Result]{
	shape: func(r bench.Result) any { return r },
	columns: []column[bench.Result]{
		{title: "URL", cell: func(r bench.Result) string { return r.URL }},
		{title: "MODE", cell: func(r bench.Result) string { return string(r.Mode) }},
		{title: "SECONDS", cell: secondsCell},
		{title: "MOVEMENTS/S", cell: func(r bench.Result) string { return fmt.Sprintf("%.0f", r.MovementsPerSecond) }},
		{title: "REQUESTS/S", cell: func(r bench.Result) string { return fmt.Sprintf("%.0f", r.RequestsPerSecond) }},
		{title: "REQUESTS", cell: func(r bench.Result) string { return fmt.Sprintf("%d, %d succeeded", r.Requests, r.Succeeded) }},
		{title: "P50", cell: func(r bench.Result) string { return milliseconds(r.Latency.P50) }},
		{title: "P90", cell: func(r bench.Result) string { return milliseconds(r.Latency.P90) }},
		{title: "P99", cell: func(r bench.Result) string { return milliseconds(r.Latency.P99) }},
		{title: "P99.9", cell: func(r bench.Result) string { return milliseconds(r.Latency.P999) }},
		{title: "MAX", cell: func(r bench.Result) string { return milliseconds(r.Latency.Max) }},
		{title: "ERRORS", cell: func(r bench.Result) string { return orNone(countsCell(r.Errors)) }},
		{title: "BALANCES", cell: func(r bench.Result) string { return r.Verification.Status + ": " + r.Verification.Detail }},
	},
}

func secondsCell(r bench.Result) string {
	if r.Interrupted {
		return fmt.Sprintf("%.1f (interrupted)", r.Seconds)
	}
	return fmt.Sprintf("%.1f", r.Seconds)
}

func milliseconds(ms float64) string { return fmt.Sprintf("%.2f ms", ms) }

func countsCell(counts map[string]int64) string {
	texts := make([]string, 0, len(counts))
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		texts = append(texts, fmt.Sprintf("%d %s", counts[code], code))
	}
	return strings.Join(texts, ", ")
}

func newBench(s *session) *cobra.Command {
	var options bench.Options
	var mode, keyFile string
	var insecure bool
	cmd := &cobra.Command{
		Use: "bench --url URL", Short: "Put load on a running API",
		Long: `Put load on a running API: transfers between accounts that it makes and funds, for
as long as you say, with live figures. At the end it compares every balance with
what was acknowledged. Ctrl-C ends the load early.

  --mode uniform  transfers between any two accounts
         hot      every transfer from one account
         pair     between two accounts, in both directions
         batch    as uniform, --batch-size of them in one atomic request

Without --rate each connection sends its next request when the last one has been
answered. With --rate requests are due at that rate whatever happens, and latencies
count from then: what a stall of the service costs its callers shows in full.

The key (scopes accounts:read, accounts:write, transactions:write) comes from the
environment, TXN_API_KEY, or from --key-file. --key works too, but every user of
this machine can read it in the list of processes. Use a business of its own: the
accounts and their history stay. The API's rate limit per address has to be off, or
high (TXN_RATE_LIMIT_PER_IP).`,
		Example: `  TXN_API_KEY=txn_… txnctl bench --url http://localhost:8080
  txnctl bench --url https://txn.example.com --key-file key.txt --rate 500 --duration 2m -o json
  txnctl bench --url http://localhost:8080 --key-file key.txt --mode hot --connections 128`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			options.Mode = bench.Mode(mode)
			if !cmd.Flags().Changed("funds") && len(options.AccountIDs) > 0 {
				options.Funds = 0
			}
			if err := checkBench(options); err != nil {
				return err
			}
			local, err := checkBenchURL(options.URL, insecure)
			if err != nil {
				return err
			}
			if options.Key, err = apiKey(options.Key, keyFile); err != nil {
				return err
			}
			if !local {
				if err := s.confirm("This puts load on %s, and its movements stay there. Go ahead?", options.URL); err != nil {
					return err
				}
			}
			return s.bench(cmd, options)
		},
	}
	set := cmd.Flags()
	set.StringVar(&options.URL, "url", "", "`address` of the API (required)")
	set.StringVar(&options.Key, "key", "", "API `key`; it shows in the list of processes: prefer TXN_API_KEY or --key-file")
	set.StringVar(&keyFile, "key-file", "", "`file` with the API key")
	set.IntVar(&options.Connections, "connections", 64, "`number` of requests under way at once")
	set.DurationVar(&options.Duration, "duration", 30*time.Second, "how long to send")
	set.Float64Var(&options.Rate, "rate", 0, "`requests` due per second (default: as many as the connections carry)")
	set.IntVar(&options.Accounts, "accounts", 100, "`number` of accounts to make")
	set.StringSliceVar(&options.AccountIDs, "account", nil, "`ids` of accounts to use instead, separated by commas or repeated")
	set.Int64Var(&options.Funds, "funds", benchFunds, "`amount` that each account is credited with first, in minor units; nothing with --account unless you say so")
	set.StringVar(&mode, "mode", string(bench.Uniform), "which accounts: `uniform|hot|pair|batch`")
	set.IntVar(&options.BatchSize, "batch-size", 100, "`number` of movements in a request of --mode batch")
	set.BoolVar(&insecure, "insecure", false, "allow http to another machine: the key travels in clear")
	requireFlags(cmd, "url")
	return cmd
}

const (
	// maxConnections and maxAccounts keep a slip of the finger harmless.
	maxConnections = 10_000
	maxAccounts    = 10_000
	// maxBatchSize is the API's limit.
	maxBatchSize = 1000
	// maxFunds is the largest amount of the API.
	maxFunds = 1<<53 - 1
)

func checkBench(o bench.Options) error {
	switch {
	case !slices.Contains(bench.Modes(), o.Mode):
		return usagef("--mode must be one of uniform, hot, pair and batch")
	case o.Connections < 1 || o.Connections > maxConnections:
		return usagef("--connections must be between 1 and %d", maxConnections)
	case o.Duration <= 0:
		return usagef("--duration must be positive")
	case !(o.Rate >= 0):
		return usagef("--rate must not be negative")
	case len(o.AccountIDs) == 1, len(o.AccountIDs) == 0 && (o.Accounts < 2 || o.Accounts > maxAccounts):
		return usagef("a load takes at least two accounts, and makes at most %d", maxAccounts)
	case o.Funds < 0 || o.Funds > maxFunds:
		return usagef("--funds must be between 0 and %d", int64(maxFunds))
	case o.BatchSize < 1 || o.BatchSize > maxBatchSize:
		return usagef("--batch-size must be between 1 and %d", maxBatchSize)
	default:
		return nil
	}
}

// checkBenchURL reports whether the API is on this machine. Elsewhere, http would
// show the key to whoever is in between.
func checkBenchURL(text string, insecure bool) (local bool, err error) {
	address, err := url.Parse(text)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Hostname() == "" {
		return false, usagef("--url must be an address such as https://txn.example.com")
	}
	ip := net.ParseIP(address.Hostname())
	local = address.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if address.Scheme == "http" && !local && !insecure {
		return false, usagef("http would send the API key in clear to %s: use https, or pass --insecure", address.Hostname())
	}
	return local, nil
}

// apiKey is what the flags name, or that of the environment.
func apiKey(key, file string) (string, error) {
	switch {
	case key != "" && file != "":
		return "", usagef("pass one of --key and --key-file")
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return "", usagef("--key-file: %v", err)
		}
		key = string(text)
	case key == "":
		key = os.Getenv("TXN_API_KEY")
	}
	if key = strings.TrimSpace(key); key == "" {
		return "", usagef("no API key: set TXN_API_KEY, or name a file by --key-file")
	}
	return key, nil
}

func (s *session) bench(cmd *cobra.Command, options bench.Options) error {
	clearLine, end := "", "\n"
	if isTerminal(s.err) {
		clearLine, end = "\r\x1b[K", "" // the same line again
	}
	options.Say = func(format string, args ...any) { s.note(clearLine+format, args...) }
	options.Live = func(now bench.Snapshot) { fmt.Fprint(s.err, clearLine+snapshotLine(now)+end) }
	result, err := bench.Run(cmd.Context(), options)
	fmt.Fprint(s.err, clearLine)
	if err != nil {
		return err
	}
	if err := printOne(s, benchView, result); err != nil {
		return err
	}
	if s.format == "" || s.format == formatTable {
		for _, note := range result.Notes {
			s.note("%s.", note)
		}
	}
	return result.Failed()
}

func snapshotLine(now bench.Snapshot) string {
	line := fmt.Sprintf("%4.0f s  %8.0f movements/s  p50 %6.1f ms  p99 %6.1f ms", now.Elapsed.Seconds(), now.Rate,
		float64(now.P50.Microseconds())/1000, float64(now.P99.Microseconds())/1000)
	if len(now.Errors) > 0 {
		line += "  errors: " + countsCell(now.Errors)
	}
	return line
}
