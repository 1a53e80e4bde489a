package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
)

func TestTakeKey(t *testing.T) {
	t.Parallel()
	url := serve(t, func(c *gin.Context) error {
		var body sample
		if err := decode(c, &body); err != nil {
			return err
		}
		key, err := takeKey(c, body.key())
		if err != nil {
			return err
		}
		require.Nil(t, body.IdempotencyKey, "the key is no part of what its fingerprint is made of")
		return respond(c, http.StatusOK, key)
	})
	long := strings.Repeat("k", 255)
	for name, test := range map[string]struct {
		body    string
		headers []string
		key     string
		code    errs.Code
	}{
		"header":           {`{}`, []string{"k 1"}, "k 1", ""},
		"body":             {`{"idempotency_key":"k1"}`, nil, "k1", ""},
		"both":             {`{"idempotency_key":"k1"}`, []string{"k1"}, "k1", ""},
		"longest":          {`{}`, []string{long}, long, ""},
		"none":             {`{}`, nil, "", errs.IdempotencyKeyMissing},
		"null":             {`{"idempotency_key":null}`, nil, "", errs.IdempotencyKeyMissing},
		"differ":           {`{"idempotency_key":"k1"}`, []string{"k2"}, "", errs.InvalidRequest},
		"empty header":     {`{}`, []string{""}, "", errs.InvalidRequest},
		"empty body":       {`{"idempotency_key":""}`, nil, "", errs.InvalidRequest},
		"too long":         {`{}`, []string{long + "k"}, "", errs.InvalidRequest},
		"too long in body": {`{"idempotency_key":"` + long + `k"}`, nil, "", errs.InvalidRequest},
		"not ASCII":        {`{"idempotency_key":"ä"}`, nil, "", errs.InvalidRequest},
		"not ASCII header": {`{}`, []string{"ä"}, "", errs.InvalidRequest},
		"control":          {`{"idempotency_key":"a\u0000"}`, nil, "", errs.InvalidRequest},
		"number":           {`{"idempotency_key":1}`, nil, "", errs.InvalidRequest},
		"two headers":      {`{}`, []string{"k1", "k1"}, "", errs.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := []string{"Content-Type", "application/json"}
			for _, value := range test.headers {
				headers = append(headers, "Idempotency-Key", value)
			}
			r := send(t, http.MethodPost, url, strings.NewReader(test.body), headers...)
			if test.code != "" {
				require.Equal(t, http.StatusBadRequest, r.Status, r.body)
				require.Equal(t, test.code, r.Code, r.body)
				return
			}
			require.Equal(t, `"`+test.key+`"`, r.body)
		})
	}
}
