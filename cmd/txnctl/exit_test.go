package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for want, failures := range map[int][]error{
		exitFailed: {
			errors.New("boom"), errCancelled, errUnhealthy,
			errs.New(errs.Internal, "x"), errs.New(errs.Unavailable, "x"), errs.New(errs.RateLimited, "x"),
		},
		exitUsage:    {usagef("x"), fmt.Errorf("wrapped: %w", usagef("x")), errs.New(errs.InvalidRequest, "x")},
		exitNotFound: {errs.New(errs.NotFound, "x"), fmt.Errorf("wrapped: %w", errs.New(errs.NotFound, "x"))},
		exitRefused: {
			errs.New(errs.AlreadyExists, "x"), errs.New(errs.InvalidState, "x"), errs.Invalid("name", "x"),
			errs.New(errs.InsufficientFunds, "x"), errs.New(errs.LimitExceeded, "x"), errs.New(errs.ConditionFailed, "x"),
		},
	} {
		for _, failure := range failures {
			require.Equal(t, want, exitCode(failure), failure.Error())
		}
	}
}

// TestExitCodesOfCommands: what a script sees.
func TestExitCodesOfCommands(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	down := &cli{config: configFile(t, "postgres://127.0.0.1:1/txn")}
	key := c.text(t, c.ok(t, "key", "issue", "--business", c.business(t), "--name", "ci"), "id")
	c.ok(t, "key", "revoke", key, "--yes")
	for _, line := range []struct {
		on   *cli
		args string
		code int
	}{
		{c, "", exitDone},
		{c, "--help", exitDone},
		{c, "help business", exitDone},
		{c, "help nonsense", exitUsage},
		{c, "help business nonsense", exitUsage},
		{c, "dev --listen nonsense", exitUsage},
		{c, "dev --rate-limit 20", exitUsage},
		{c, "business list", exitDone},
		{c, "key revoke --yes " + key, exitDone},
		{down, "business list", exitFailed},
		{down, "doctor --timeout 1s", exitFailed},
		{down, "smoke --url http://127.0.0.1:1 --wait 1ms", exitFailed},
		{c, "nonsense list", exitUsage},
		{c, "business list --limit 0", exitUsage},
		{c, "business list -o xml", exitUsage},
		{c, "business list extra", exitUsage},
		{c, "key revoke " + key, exitUsage},
		{c, "completion bash extra", exitUsage},
		{c, "business show " + models.NewID[models.BusinessPrefix]().String(), exitNotFound},
		{c, "webhook show wh_nonsense", exitNotFound},
		{c, "ledger balance " + models.NewID[models.AccountPrefix]().String(), exitNotFound},
		{c, "key rotate " + key, exitRefused},
		{c, "business create --name x --currency dollars", exitRefused},
	} {
		r := line.on.run(t, strings.Fields(line.args)...)
		require.Equal(t, line.code, r.code, "%s: %s", line.args, r.err)
		if line.code != exitDone {
			require.Contains(t, r.err, "txnctl: ", line.args)
		}
	}
}
