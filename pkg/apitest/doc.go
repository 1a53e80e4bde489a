// Package apitest boots the HTTP API for tests: the real handler on a real
// listener, with a PostgreSQL database of its own, a business and its API key.
// It is for tests alone: no program may import it.
//
//	api := apitest.New(t)
//	res := api.Do(t, "POST", "/v1/accounts", `{"name":"Main"}`)
//	res.Require(t, http.StatusCreated)
//	id := res.String(t, "id")
package apitest
