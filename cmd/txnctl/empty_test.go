package main

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// TestEmptyFlagsAreRefused: `--business "$BUSINESS"` without a BUSINESS must not be
// about all of them.
func TestEmptyFlagsAreRefused(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business := c.business(t)
	for _, args := range [][]string{
		{"audit", "list", "--business", ""},
		{"audit", "list", "--actor="},
		{"ledger", "verify", "--business="},
		{"key", "issue", "--business", business, "--name", "ci", "--scopes", ""},
		{"key", "issue", "--business", business, "--name", "ci", "--expires-at="},
		{"webhook", "replay", "--event", "evt_01h455vb4pex5vsknk084sn02q", "--endpoint", ""},
		{"webhook", "replay", "--business", business, "--since", ""},
		{"webhook", "replay", "--business", business, "--event-types="},
		{"ledger", "balance", "acct_01h455vb4pex5vsknk084sn02q", "--at="},
	} {
		r := c.run(t, args...)
		require.Equal(t, exitUsage, r.code, "%v: %s", args, r.err)
		require.Contains(t, r.err, "is given and empty", args)
		require.Empty(t, r.out, args)
	}
	require.Empty(t, data(t, c.ok(t, "key", "list", "--business", business)), "no key was issued")

	// What says something by being empty goes on doing so.
	page := c.ok(t, "business", "list", "--cursor", "")
	require.Len(t, data(t, page), 1)
	require.Empty(t, c.ok(t, "business", "update", business, "--metadata", "")["metadata"])
	everyCommand(func(path string, cmd *cobra.Command) {
		require.Nil(t, cmd.PersistentPreRun, path)
		require.True(t, path == "" || cmd.PersistentPreRunE == nil, "%s would not look for empty flags", path)
	})
}

// TestFlagsThatMayBeEmptyExist, all of them.
func TestFlagsThatMayBeEmptyExist(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	everyCommand(func(_ string, cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(flag *pflag.Flag) { found[flag.Name] = true })
		cmd.PersistentFlags().VisitAll(func(flag *pflag.Flag) { found[flag.Name] = true })
	})
	for _, name := range mayBeEmpty {
		require.True(t, found[name], name)
	}
}
