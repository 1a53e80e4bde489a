package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/cmd/txnctl/dev"
	"github.com/txn-service/txn/pkg/ratelimit"
)

func newDev(s *session) *cobra.Command {
	var options dev.Options
	cmd := &cobra.Command{
		Use: "dev", Short: "Run everything on this machine until Ctrl-C",
		Long: `Run everything on this machine until Ctrl-C: a private PostgreSQL (and Redis, where
there is one), the API, the dispatcher, and a receiver that verifies webhooks.

The first start makes a demo business with two funded accounts and one transfer.
Data, key and accounts survive a restart; --reset starts over. Nothing outside
the data directory is touched, and no other database is ever used.

Webhooks may go to http and private addresses here, and the rate limit is off
unless --rate-limit sets one.`,
		Example: `  txnctl dev
  txnctl dev --listen 127.0.0.1:0 --data-dir /tmp/txn --ready-json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// What would come to light when everything else is up.
			if _, _, err := net.SplitHostPort(options.Listen); err != nil {
				return usagef("--listen: %v", err)
			}
			if _, err := ratelimit.New("ip", options.RateLimit, nil); err != nil {
				return usagef("--rate-limit: %v", err)
			}
			var err error
			if options.DataDir, err = dataDir(options.DataDir); err != nil {
				return err
			}
			options.Out, options.Progress = s.out, s.err
			options.Operator = strings.TrimPrefix(string(s.operator()), "operator:")
			return dev.Run(cmd.Context(), options)
		},
	}
	cmd.Flags().StringVar(&options.Listen, "listen", "127.0.0.1:8080", "`address` of the API; port 0 is any free one")
	cmd.Flags().StringVar(&options.DataDir, "data-dir", "", "`directory` for data and logs (default: txn-dev in the user's cache directory)")
	cmd.Flags().BoolVar(&options.Reset, "reset", false, "drop the data of earlier runs first")
	cmd.Flags().BoolVar(&options.ReadyJSON, "ready-json", false,
		"print one JSON line when everything is ready, and nothing else on standard output")
	cmd.Flags().StringVar(&options.RateLimit, "rate-limit", "", "`limit` per client address, such as 20-M (default: off)")
	return cmd
}

func dataDir(given string) (string, error) {
	if given == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", usagef("no cache directory for the data (%v): pass --data-dir", err)
		}
		given = filepath.Join(cache, "txn-dev")
	}
	dir, err := filepath.Abs(given)
	if err != nil {
		return "", fmt.Errorf("--data-dir: %w", err)
	}
	return dir, nil
}
