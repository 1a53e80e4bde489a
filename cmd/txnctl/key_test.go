package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apikey"
)

func TestKeyListShowsStateAndUse(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business := c.business(t)
	issue := func(more ...string) (id, key string) {
		issued := c.ok(t, append([]string{"key", "issue", "--business", business, "--name", "ci"}, more...)...)
		return c.text(t, issued, "id"), c.text(t, issued, "key")
	}
	used, key := issue("--expires-at", "2999-01-01T00:00:00Z")
	revoked, _ := issue()
	c.ok(t, "key", "revoke", revoked, "--yes")
	expired, _ := issue()
	c.ok(t, "key", "rotate", expired, "--grace", "0s")

	ctx, stop := context.WithCancel(t.Context())
	verifier, done := apikey.NewVerifier(c.db), make(chan struct{})
	go func() { defer close(done); verifier.Run(ctx) }()
	_, err := verifier.Verify(t.Context(), key)
	require.NoError(t, err)
	stop()
	<-done

	table := c.run(t, "key", "list", "--business", business).out
	require.Regexp(t, `(?m)^ID\s+NAME\s+PREFIX\s+STATE\s+EXPIRES\s+REVOKED\s+LAST USED\s+CREATED$`, table)
	today := time.Now().UTC().Format("2006-01-02")
	require.Regexp(t, `(?m)^`+used+`\s+ci\s+txn_\S+\s+working\s+2999-01-01T00:00:00Z\s+-\s+`+today, table)
	require.Regexp(t, `(?m)^`+revoked+`\s+ci\s+txn_\S+\s+revoked\s+-\s+`+today, table)
	require.Regexp(t, `(?m)^`+expired+`\s+ci\s+txn_\S+\s+expired\s+`+today, table)
}

// Both keys open the door while the grace period runs.
func TestKeyRotateKeepsBothKeysWorking(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	issued := c.ok(t, "key", "issue", "--business", c.business(t), "--name", "ci")
	rotated := c.ok(t, "key", "rotate", c.text(t, issued, "id"), "--grace", "24h")
	verifier := apikey.NewVerifier(c.db)
	for _, key := range []string{c.text(t, issued, "key"), c.text(t, rotated, "key")} {
		_, err := verifier.Verify(t.Context(), key)
		require.NoError(t, err)
	}
}
