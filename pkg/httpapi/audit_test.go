package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// audited returns what the audit log tells of a target, oldest first.
func audited(t *testing.T, api *apitest.API, target string) []models.AuditEntry {
	t.Helper()
	entries, _, err := audit.List(t.Context(), api.DB.Gorm, audit.Filter{Business: api.Business, Target: target})
	require.NoError(t, err)
	slices.Reverse(entries)
	return entries
}

func actionsOf(entries []models.AuditEntry) (actions []string) {
	for _, e := range entries {
		actions = append(actions, e.Action)
	}
	return actions
}

// requireStates compares what an entry says was before and is after; "" is nothing.
func requireStates(t *testing.T, entry models.AuditEntry, before, after string) {
	t.Helper()
	for got, want := range map[*json.RawMessage]string{&entry.Before: before, &entry.After: after} {
		if want == "" {
			require.Empty(t, *got)
			continue
		}
		require.JSONEq(t, want, string(*got))
	}
}

func TestChangesOfWebhooksAreAudited(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	id, secret := createWebhook(t, api, "https://example.com/hook?token=hunter2",
		`,"headers":{"authorization":"Bearer hunter3","X-Team":"hunter4"},"metadata":{"a":"b"}`)
	path := "/v1/webhooks/" + id
	api.Do(t, "PATCH", path, `{"description":null}`).Require(t, http.StatusOK)
	api.Do(t, "PATCH", path, `{"status":"gone"}`).Require(t, http.StatusUnprocessableEntity)
	require.Equal(t, []string{"webhook.created"}, actionsOf(audited(t, api, id)), "neither no change nor a refused one is logged")
	api.Do(t, "PATCH", path, `{"status":"paused","headers":{"Authorization":"Bearer hunter5","X-Team":"hunter4"}}`).Require(t, http.StatusOK)
	rotated := api.Do(t, "POST", path+"/rotate-secret", nil, apitest.IdempotencyKey("r")).Require(t, http.StatusOK)
	api.Do(t, "POST", path+"/rotate-secret", nil, apitest.IdempotencyKey("r")).Require(t, http.StatusOK)
	api.Do(t, "DELETE", path, nil).Require(t, http.StatusNoContent)
	api.Do(t, "DELETE", path, nil).Require(t, http.StatusNotFound)

	entries := audited(t, api, id)
	require.Equal(t, []string{"webhook.created", "webhook.updated", "webhook.secret_rotated", "webhook.deleted"}, actionsOf(entries))
	keys, _, err := apikey.List(t.Context(), api.DB.Gorm, api.Business, apikey.Filter{})
	require.NoError(t, err)
	for _, e := range entries {
		require.Equal(t, string(audit.Key(keys[0].ID)), e.Actor)
	}
	created := `{"url":"https://example.com/hook?[hidden]","event_types":["*"],"description":null,"status":"active","ordered":false,
		"max_concurrency":16,"rate_limit":null,"headers":{"Authorization":"[hidden]","X-Team":"[hidden]"},"metadata":{"a":"b"}}`
	paused := `{"url":"https://example.com/hook?[hidden]","event_types":["*"],"description":null,"status":"paused","ordered":false,
		"max_concurrency":16,"rate_limit":null,"headers":{"Authorization":"%s","X-Team":"[hidden]"},"metadata":{"a":"b"}}`
	requireStates(t, entries[0], "", created)
	requireStates(t, entries[1], created, fmt.Sprintf(paused, "[hidden, changed]"))
	require.Contains(t, string(entries[2].After), "former_secret_until")
	requireStates(t, entries[3], fmt.Sprintf(paused, "[hidden]"), "")

	var log string
	require.NoError(t, api.DB.Pool.QueryRow(t.Context(), `SELECT string_agg(a::text, '') FROM audit_log a`).Scan(&log))
	for _, kept := range []string{secret, rotated.String(t, "secret"), "whsec_", "hunter", api.Key} {
		require.NotContains(t, log, kept)
	}
}

func TestChangesOfKeysAreAudited(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	by := manager(t, api)
	managers, _, err := apikey.List(t.Context(), api.DB.Gorm, api.Business, apikey.Filter{Limit: 1})
	require.NoError(t, err)
	issued := api.Do(t, "POST", "/v1/api-keys", `{"name":"ci","scopes":["accounts:read"]}`, by).Require(t, http.StatusCreated)
	rotated := api.Do(t, "POST", "/v1/api-keys/"+issued.String(t, "id")+"/rotate", nil, by).Require(t, http.StatusOK)
	for range 2 {
		api.Do(t, "DELETE", "/v1/api-keys/"+issued.String(t, "id"), nil, by).Require(t, http.StatusNoContent)
	}
	entries := audited(t, api, issued.String(t, "id"))
	require.Equal(t, []string{"key.issued", "key.rotated", "key.revoked"}, actionsOf(entries))
	for _, e := range entries {
		require.Equal(t, string(audit.Key(managers[0].ID)), e.Actor)
	}
	require.Equal(t, []string{"key.issued"}, actionsOf(audited(t, api, rotated.String(t, "id"))))
	requireStates(t, entries[0], "", `{"name":"ci","prefix":"`+issued.String(t, "prefix")+`","scopes":["accounts:read"],"expires_at":null,"revoked_at":null}`)
	var log string
	require.NoError(t, api.DB.Pool.QueryRow(t.Context(), `SELECT string_agg(a::text, '') FROM audit_log a`).Scan(&log))
	require.NotContains(t, log, issued.String(t, "key")[8:])
	require.NotContains(t, log, rotated.String(t, "key")[8:])
	require.NotContains(t, log, "hash")
}

func TestChangesOfAccountsAreAudited(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	id := openAccount(t, api, 100)
	path := "/v1/accounts/" + id
	api.Do(t, "PATCH", path, `{"name":"Other","metadata":{"a":"b"}}`).Require(t, http.StatusOK)
	api.Do(t, "PATCH", path, `{"status":"closed"}`).RequireProblem(t, http.StatusConflict, errs.InvalidState)
	api.Do(t, "PATCH", path, `{"status":"active","overdraft_limit":0}`).Require(t, http.StatusOK)
	require.Empty(t, audited(t, api, id), "names, refusals and what stays are not logged")
	api.Do(t, "PATCH", path, `{"status":"frozen","overdraft_limit":500}`).Require(t, http.StatusOK)
	api.Do(t, "PATCH", path, `{"overdraft_limit":null}`).Require(t, http.StatusOK)
	api.Do(t, "PATCH", path, `{"status":"active"}`).Require(t, http.StatusOK)
	entries := audited(t, api, id)
	require.Equal(t, []string{"account.updated", "account.updated", "account.updated"}, actionsOf(entries))
	requireStates(t, entries[0], `{"status":"active","overdraft_limit":0}`, `{"status":"frozen","overdraft_limit":500}`)
	requireStates(t, entries[1], `{"status":"frozen","overdraft_limit":500}`, `{"status":"frozen","overdraft_limit":null}`)
	requireStates(t, entries[2], `{"status":"frozen","overdraft_limit":null}`, `{"status":"active","overdraft_limit":null}`)
	require.Regexp(t, `^key:key_`, entries[0].Actor)
}

// TestNewAccountsAreAuditedIfTheyMayBeOverdrawn: their limit would be told of nowhere
// else.
func TestNewAccountsAreAuditedIfTheyMayBeOverdrawn(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	for limit, after := range map[string]string{
		"0": "", "500": `{"status":"active","overdraft_limit":500}`, "null": `{"status":"active","overdraft_limit":null}`,
	} {
		body := `{"name":"Main","currency":"USD","overdraft_limit":` + limit + `}`
		var id string
		for range 2 { // the second is a replay
			id = api.Do(t, "POST", "/v1/accounts", body, apitest.IdempotencyKey("a"+limit)).Require(t, http.StatusCreated).String(t, "id")
		}
		entries := audited(t, api, id)
		if after == "" {
			require.Empty(t, entries)
			continue
		}
		require.Equal(t, []string{"account.created"}, actionsOf(entries))
		requireStates(t, entries[0], "", after)
		require.Regexp(t, `^key:key_`, entries[0].Actor)
	}
}

func TestReplaysAreAudited(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	id, _ := createWebhook(t, api, "https://example.com/", "")
	replay := api.Do(t, "POST", "/v1/webhooks/"+id+"/replay", `{"since":"2026-01-01T00:00:00Z"}`).Require(t, http.StatusCreated).String(t, "id")
	for range 2 {
		api.Do(t, "POST", "/v1/webhook-replays/"+replay+"/cancel", nil).Require(t, http.StatusOK)
	}
	require.Equal(t, []string{"webhook.created", "webhook.replayed"}, actionsOf(audited(t, api, id)))
	cancelled := audited(t, api, replay)
	require.Equal(t, []string{"replay.cancelled"}, actionsOf(cancelled), "cancelling it again changes nothing")
	require.Contains(t, string(cancelled[0].Before), `"pending"`)
	require.Contains(t, string(cancelled[0].After), `"cancelled"`)
}
