package client_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/client"
)

func TestNullable(t *testing.T) {
	t.Parallel()
	for text, change := range map[string]client.AccountChange{
		`{}`: {},
		`{"reference":null,"overdraft_limit":null,"metadata":null}`: {
			Reference: client.Null[string](), OverdraftLimit: client.Null[int64](), Metadata: client.Null[client.Metadata](),
		},
		`{"reference":"r","overdraft_limit":0,"metadata":{}}`: {
			Reference: client.Value("r"), OverdraftLimit: client.Value[int64](0), Metadata: client.Value(client.Metadata{}),
		},
	} {
		got, err := json.Marshal(change)
		require.NoError(t, err)
		require.JSONEq(t, text, string(got))
		var again client.AccountChange
		require.NoError(t, json.Unmarshal(got, &again))
		require.Equal(t, change, again)
	}
}
