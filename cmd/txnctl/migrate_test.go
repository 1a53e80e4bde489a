package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMigrationsAreAudited(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	newest := data(t, c.ok(t, "migrate", "down", "--yes"))[0]["version"]
	c.ok(t, "migrate", "up")
	c.ok(t, "migrate", "up")
	c.ok(t, "migrate", "status")
	entries := data(t, c.ok(t, "audit", "list", "--target", "schema"))
	require.Len(t, entries, 2, "what changes nothing is not logged")
	for i, action := range []string{"schema.migrated", "schema.taken_back"} {
		require.Equal(t, action, entries[i]["action"])
		require.Equal(t, string(userOfMachine()), entries[i]["actor"])
		require.Nil(t, entries[i]["business_id"])
		after := entries[i]["after"].([]any)
		require.Len(t, after, 1)
		require.Equal(t, newest, after[0].(map[string]any)["version"])
	}
}
