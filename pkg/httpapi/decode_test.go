package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// sample has a field of every kind that bodies have.
type sample struct {
	Keyed
	Name     string                    `json:"name"`
	Amount   amount                    `json:"amount"`
	Account  *models.AccountID         `json:"account_id"`
	Metadata map[string]string         `json:"metadata"`
	At       *wire.Time                `json:"at"`
	Ordered  bool                      `json:"ordered"`
	Rate     *int                      `json:"rate"`
	Types    []string                  `json:"types"`
	Limit    optional[amount]          `json:"limit,omitzero"`
	Title    required[string]          `json:"title,omitzero"`
	Tags     optional[models.Metadata] `json:"tags,omitzero"`
	Items    []struct {
		Amount amount `json:"amount"`
	} `json:"items"`
}

func sampleServer(t *testing.T, into *sample) string {
	t.Helper()
	return serve(t, func(c *gin.Context) error {
		*into = sample{}
		if err := decode(c, into); err != nil {
			return err
		}
		return respondNothing(c)
	})
}

func TestDecodeReadsEveryKind(t *testing.T) {
	t.Parallel()
	var got sample
	url := sampleServer(t, &got)
	id := models.NewID[models.AccountPrefix]()
	r := sendJSON(t, url, ` {"name":"Ä","amount":9223372036854775807,"account_id":"`+id.String()+`","metadata":{"a":"b"},
		"at":"2026-01-31T12:00:00+01:00","ordered":true,"rate":0,"types":["a"],"limit":null,"title":"t",
		"tags":{"x":"y"},"items":[{"amount":-1}],"idempotency_key":"k"} `+"\n")
	require.Equal(t, http.StatusNoContent, r.Status, r.body)
	require.Equal(t, "Ä", got.Name)
	require.Equal(t, amount(9223372036854775807), got.Amount)
	require.Equal(t, id, *got.Account)
	require.Equal(t, map[string]string{"a": "b"}, got.Metadata)
	at, err := got.At.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "2026-01-31T11:00:00.000000Z", string(at))
	require.True(t, got.Ordered)
	require.Zero(t, *got.Rate)
	require.True(t, got.Limit.Given)
	require.Nil(t, got.Limit.Value)
	require.Equal(t, "t", *got.Title.Value)
	require.Equal(t, models.Metadata{"x": "y"}, *got.Tags.Value)
	require.Equal(t, amount(-1), got.Items[0].Amount)
	require.Equal(t, "k", *got.IdempotencyKey)

	require.Equal(t, http.StatusNoContent, sendJSON(t, url, `{}`).Status)
	require.False(t, got.Limit.Given)
	require.Nil(t, got.Title.Value)
	require.Nil(t, got.Account)
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body   string
		status int
		code   errs.Code
		field  string
	}{
		"nothing":           {``, 400, errs.InvalidRequest, ""},
		"white space":       {"  ", 400, errs.InvalidRequest, ""},
		"no JSON":           {`hello`, 400, errs.InvalidRequest, ""},
		"cut off":           {`{"name":"a"`, 400, errs.InvalidRequest, ""},
		"cut in a string":   {`{"name":"a`, 400, errs.InvalidRequest, ""},
		"trailing value":    {`{"name":"a"} {}`, 400, errs.InvalidRequest, ""},
		"trailing text":     {`{"name":"a"}x`, 400, errs.InvalidRequest, ""},
		"trailing comma":    {`{"name":"a",}`, 400, errs.InvalidRequest, ""},
		"comment":           {`{"name":"a"/**/}`, 400, errs.InvalidRequest, ""},
		"byte order mark":   {"\ufeff{}", 400, errs.InvalidRequest, ""},
		"array":             {`[]`, 400, errs.InvalidRequest, ""},
		"string":            {`"a"`, 400, errs.InvalidRequest, ""},
		"null":              {`null`, 400, errs.InvalidRequest, ""},
		"unknown":           {`{"unheard_of":"a"}`, 400, errs.InvalidRequest, "unheard_of"},
		"other case":        {`{"Name":"a"}`, 400, errs.InvalidRequest, "Name"},
		"unknown, nested":   {`{"items":[{"amount":1},{"x":1}]}`, 400, errs.InvalidRequest, "items[1].x"},
		"duplicate":         {`{"name":"a","name":"a"}`, 400, errs.InvalidRequest, "name"},
		"duplicate, nested": {`{"metadata":{"a":"b","a":"b"}}`, 400, errs.InvalidRequest, "metadata.a"},
		"escaped duplicate": {`{"name":"a","n\u0061me":"b"}`, 400, errs.InvalidRequest, "name"},
		"invalid UTF-8":     {"{\"name\":\"\xff\"}", 400, errs.InvalidRequest, ""},
		"lone surrogate":    {`{"name":"\ud800"}`, 400, errs.InvalidRequest, ""},
		"number for text":   {`{"name":1}`, 400, errs.InvalidRequest, "name"},
		"text for bool":     {`{"ordered":"true"}`, 400, errs.InvalidRequest, "ordered"},
		"text for int":      {`{"rate":"1"}`, 400, errs.InvalidRequest, "rate"},
		"object for list":   {`{"types":{}}`, 400, errs.InvalidRequest, "types"},
		"number in list":    {`{"types":["a",1]}`, 400, errs.InvalidRequest, "types[1]"},
		"number for map":    {`{"metadata":1}`, 400, errs.InvalidRequest, "metadata"},
		"number in map":     {`{"metadata":{"a":1}}`, 400, errs.InvalidRequest, "metadata.a"},
		"no time":           {`{"at":"yesterday"}`, 400, errs.InvalidRequest, "at"},
		"number for time":   {`{"at":1}`, 400, errs.InvalidRequest, "at"},
		"number for id":     {`{"account_id":1}`, 400, errs.InvalidRequest, "account_id"},
		"null for required": {`{"title":null}`, 400, errs.InvalidRequest, "title"},
		"wrong in optional": {`{"limit":"1"}`, 400, errs.InvalidRequest, "limit"},
		"wrong, deeper":     {`{"tags":{"a":1}}`, 400, errs.InvalidRequest, "tags.a"},

		"amount null":      {`{"amount":null}`, 400, errs.InvalidRequest, "amount"},
		"amount list":      {`{"amount":[]}`, 400, errs.InvalidRequest, "amount"},
		"amount object":    {`{"amount":{}}`, 400, errs.InvalidRequest, "amount"},
		"amount text":      {`{"amount":"1"}`, 400, errs.InvalidRequest, "amount"},
		"amount bool":      {`{"amount":true}`, 400, errs.InvalidRequest, "amount"},
		"amount float":     {`{"amount":1.5}`, 400, errs.InvalidRequest, "amount"},
		"amount 1.0":       {`{"amount":1.0}`, 400, errs.InvalidRequest, "amount"},
		"amount exponent":  {`{"amount":1e2}`, 400, errs.InvalidRequest, "amount"},
		"amount too large": {`{"amount":9223372036854775808}`, 400, errs.InvalidRequest, "amount"},
		"amount huge":      {`{"amount":` + strings.Repeat("9", 400) + `}`, 400, errs.InvalidRequest, "amount"},
		"amount in a list": {`{"items":[{"amount":1},{"amount":1e2}]}`, 400, errs.InvalidRequest, "items[1].amount"},

		"no id":              {`{"account_id":"1"}`, 422, errs.ValidationFailed, "account_id"},
		"empty id":           {`{"account_id":""}`, 422, errs.ValidationFailed, "account_id"},
		"wrong prefix":       {`{"account_id":"txn_01h455vb4pex5vsknk084sn02q"}`, 422, errs.ValidationFailed, "account_id"},
		"no id, then broken": {`{"account_id":"1","name":}`, 400, errs.InvalidRequest, ""},
		"no id, then more":   {`{"account_id":"1"} {}`, 400, errs.InvalidRequest, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got sample
			r := sendJSON(t, sampleServer(t, &got), test.body)
			require.Equal(t, test.status, r.Status, r.body)
			require.Equal(t, test.code, r.Code, r.body)
			require.Equal(t, test.field, r.field(), r.body)
			require.NotContains(t, r.body, "json", "no word of the library")
			require.NotContains(t, r.body, "httpapi", "no Go types")
			require.NotContains(t, r.body, "models")
		})
	}
}

// manyPairs are members of an object.
func manyPairs(n int) string {
	pairs := make([]string, n)
	for i := range pairs {
		pairs[i] = fmt.Sprintf(`"%d":""`, i)
	}
	return strings.Join(pairs, ",")
}

// What has more parts than anything may have is not read to its end: not even that
// it is no JSON is seen.
func TestDecodeStopsWhereItIsTooMuch(t *testing.T) {
	t.Parallel()
	texts := func(n int) string { return strings.Repeat(`"a",`, n-1) + `"a"` }
	for name, test := range map[string]struct {
		into        func() any
		body, field string
	}{
		"metadata":    {func() any { return new(newTransaction) }, `{"metadata":{` + manyPairs(101) + `,nonsense`, "metadata"},
		"headers":     {func() any { return new(newWebhook) }, `{"headers":{` + manyPairs(101) + `,nonsense`, "headers"},
		"event types": {func() any { return new(newWebhook) }, `{"event_types":[` + texts(101) + `,nonsense`, "event_types"},
		"scopes":      {func() any { return new(newAPIKey) }, `{"scopes":[` + texts(101) + `,nonsense`, "scopes"},
		"items":       {func() any { return new(newBatch) }, `{"transactions":[` + strings.Repeat(`{},`, 1000) + `{},nonsense`, "transactions"},
		"within an item": {
			func() any { return new(newBatch) },
			`{"transactions":[{},{"metadata":{` + manyPairs(101) + `,nonsense`, "transactions[1].metadata",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(c *gin.Context) error {
				if err := decodeWithin(c, maxBatchBody, test.into()); err != nil {
					return err
				}
				return respondNothing(c)
			})
			r := sendJSON(t, url, test.body)
			require.Equal(t, http.StatusUnprocessableEntity, r.Status, r.body)
			require.Equal(t, errs.ValidationFailed, r.Code)
			require.Equal(t, test.field, r.field(), r.body)
		})
	}
	var into newTransaction
	url := serve(t, func(c *gin.Context) error {
		if err := decode(c, &into); err != nil {
			return err
		}
		return respondNothing(c)
	})
	require.Equal(t, http.StatusNoContent, sendJSON(t, url, `{"metadata":{`+manyPairs(100)+`}}`).Status, "the ledger says how many there may be")
	require.Len(t, into.Metadata, 100)
}

func TestDecodeMediaType(t *testing.T) {
	t.Parallel()
	var got sample
	url := sampleServer(t, &got)
	for _, test := range []struct {
		headers []string
		status  int
	}{
		{[]string{"Content-Type", "application/json"}, 204},
		{[]string{"Content-Type", "application/json; charset=utf-8"}, 204},
		{[]string{"Content-Type", "Application/JSON"}, 204},
		{[]string{"Content-Type", "application/json", "Content-Encoding", "identity"}, 204},
		{nil, 415},
		{[]string{"Content-Type", ""}, 415},
		{[]string{"Content-Type", "text/plain"}, 415},
		{[]string{"Content-Type", "application/jsonx"}, 415},
		{[]string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{[]string{"Content-Type", "application/json", "Content-Type", "application/json"}, 415},
		{[]string{"Content-Type", "application/json", "Content-Encoding", "gzip"}, 415},
	} {
		r := send(t, http.MethodPost, url, strings.NewReader(`{}`), test.headers...)
		require.Equal(t, test.status, r.Status, "%v: %s", test.headers, r.body)
		if test.status == 415 {
			require.Equal(t, errs.UnsupportedMediaType, r.Code)
		}
	}
	r := send(t, http.MethodPost, url, nil)
	require.Equal(t, errs.InvalidRequest, r.Code, "what is not there needs no type")
	r = send(t, http.MethodPost, url, unsized(""))
	require.Equal(t, errs.InvalidRequest, r.Code)
	r = send(t, http.MethodPost, url, unsized("{}"))
	require.Equal(t, errs.UnsupportedMediaType, r.Code)
}

// unsized is a body whose length the client does not tell.
func unsized(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }

func TestDecodeBodySize(t *testing.T) {
	t.Parallel()
	var got sample
	url := sampleServer(t, &got)
	fits := `{"name":"` + strings.Repeat("a", maxBody-len(`{"name":""}`)) + `"}`
	require.Len(t, fits, maxBody)
	require.Equal(t, http.StatusNoContent, sendJSON(t, url, fits).Status)
	for _, body := range []io.Reader{strings.NewReader(fits + " "), unsized(fits + " "), unsized(strings.Repeat(" ", 3*maxBody))} {
		r := send(t, http.MethodPost, url, body, "Content-Type", "application/json")
		require.Equal(t, http.StatusRequestEntityTooLarge, r.Status)
		require.Equal(t, errs.BodyTooLarge, r.Code)
	}
	require.Equal(t, http.StatusNoContent, sendJSON(t, url, `{"name":"b"}`).Status)
	require.Equal(t, "b", got.Name, "a pooled buffer holds nothing of the request before")
}

// TestTooLargeIsToldToThoseWhoOnlyListenAfterwards sends a body as simple clients
// do: all of it before anything is read.
func TestTooLargeIsToldToThoseWhoOnlyListenAfterwards(t *testing.T) {
	t.Parallel()
	var got sample
	address := strings.TrimPrefix(sampleServer(t, &got), "http://")
	body := bytes.Repeat([]byte(" "), 12*maxBody)
	for _, framed := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body),
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body),
	} {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		_, err = io.WriteString(connection, "POST / HTTP/1.1\r\nHost: txn\r\nContent-Type: application/json\r\n"+framed)
		require.NoError(t, err)
		answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
		require.NoError(t, answer.Body.Close())
		require.NoError(t, connection.Close())
	}
}

func TestDecodeOptional(t *testing.T) {
	t.Parallel()
	var got sample
	url := serve(t, func(c *gin.Context) error {
		got = sample{}
		if err := decodeOptional(c, &got); err != nil {
			return err
		}
		return respondNothing(c)
	})
	require.Equal(t, 204, send(t, http.MethodPost, url, nil).Status)
	require.Equal(t, 204, send(t, http.MethodPost, url, unsized("")).Status)
	require.Equal(t, 204, send(t, http.MethodPost, url, unsized(""), "Content-Type", "application/json").Status)
	require.Equal(t, 415, send(t, http.MethodPost, url, strings.NewReader("{}")).Status)
	require.Equal(t, 204, sendJSON(t, url, `{"name":"x"}`).Status)
	require.Equal(t, "x", got.Name)
}

// TestPooledBuffersAreNotShared decodes many bodies at once.
func TestPooledBuffersAreNotShared(t *testing.T) {
	t.Parallel()
	url := serve(t, func(c *gin.Context) error {
		var body sample
		if err := decode(c, &body); err != nil {
			return err
		}
		return respond(c, http.StatusOK, map[string]string{"name": body.Name})
	})
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for i := range 50 {
				name := strings.Repeat(string(rune('a'+i%26)), 10+i)
				r := sendJSON(t, url, `{"name":"`+name+`"}`)
				require.JSONEq(t, `{"name":"`+name+`"}`, r.body)
			}
		})
	}
}
