package httpapi

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// answers is what a handler with every kind of parameter would work with.
type answers struct {
	page      page
	after     *models.AccountID
	status    *string
	reference *string
	account   *models.AccountID
	dryRun    bool
	at        *time.Time
	metadata  map[string]string
}

func readQuery(t *testing.T, raw string) (a answers, err error) {
	t.Helper()
	q := newQuery(&http.Request{URL: &url.URL{RawQuery: raw}})
	a.page, a.after = pageByID[models.AccountPrefix](q, "accounts")
	a.status = q.oneOf("status", "active", "frozen")
	a.reference = q.text("reference")
	a.account = queryID[models.AccountPrefix](q, "account_id")
	a.dryRun = q.boolean("dry_run")
	a.at = q.time("at")
	a.metadata = q.metadata()
	return a, q.Err()
}

func TestQueryDefaults(t *testing.T) {
	t.Parallel()
	a, err := readQuery(t, "")
	require.NoError(t, err)
	require.Equal(t, answers{page: page{List: "accounts", Limit: 50}}, a)
}

func TestQueryReadsEveryKind(t *testing.T) {
	t.Parallel()
	id := models.NewID[models.AccountPrefix]()
	a, err := readQuery(t, "limit=200&status=frozen&reference=a%20b&account_id="+id.String()+
		"&dry_run=true&at=2026-01-31T12:00:00.5%2B01:00&metadata[color]=red&metadata%5Bsize%5D=&cursor="+
		encodeCursor("accounts", positionID(id)))
	require.NoError(t, err)
	require.Equal(t, 200, a.page.Limit)
	require.Equal(t, id, *a.after)
	require.Equal(t, "frozen", *a.status)
	require.Equal(t, "a b", *a.reference)
	require.Equal(t, id, *a.account)
	require.True(t, a.dryRun)
	require.Equal(t, time.Date(2026, 1, 31, 11, 0, 0, 500_000_000, time.UTC), *a.at)
	require.Equal(t, map[string]string{"color": "red", "size": ""}, a.metadata)
}

func TestQueryRefuses(t *testing.T) {
	t.Parallel()
	for raw, field := range map[string]string{
		"nonsense=1":                 "nonsense",
		"Limit=1":                    "Limit",
		"limit=0":                    "limit",
		"limit=201":                  "limit",
		"limit=-1":                   "limit",
		"limit=%2B5":                 "limit",
		"limit=1.0":                  "limit",
		"limit=":                     "limit",
		"limit=1&limit=1":            "limit",
		"limit=99999999999999999999": "limit",
		"status=closed":              "status",
		"status=":                    "status",
		"account_id=acct_1":          "account_id",
		"account_id=txn_01h455vb4pex5vsknk084sn02q": "account_id",
		"dry_run=1":      "dry_run",
		"dry_run=":       "dry_run",
		"at=yesterday":   "at",
		"at=2026-01-31":  "at",
		"cursor=":        "cursor",
		"cursor=garbage": "cursor",
		"reference=%00":  "reference",
		"reference=%0A":  "reference",
		"reference=%FF":  "reference",
		"reference=" + strings.Repeat("a", maxQueryValue+1): "reference",
		"metadata=1":                  "metadata",
		"metadata[]=1":                "metadata",
		"metadata[a":                  "metadata[a",
		"metadata[%00]=1":             "metadata",
		"metadata[a]=1&metadata[a]=2": "metadata[a]",
		"metadata[" + strings.Repeat("k", 41) + "]=1": "metadata",
		"a=%zz":                 "query",
		"limit=1;status=active": "query",
	} {
		_, err := readQuery(t, raw)
		coded := errs.As(err)
		require.NotNil(t, coded, raw)
		require.Equal(t, errs.InvalidRequest, coded.Code, raw)
		require.Equal(t, field, coded.Fields[0].Field, raw)
	}
}

func TestQueryNamesEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := readQuery(t, "limit=0&status=x&b=1&a=1")
	coded := errs.As(err)
	require.NotNil(t, coded)
	names := make([]string, len(coded.Fields))
	for i, f := range coded.Fields {
		names[i] = f.Field
	}
	require.Equal(t, []string{"a", "b", "limit", "status"}, names)
	var many strings.Builder
	for i := range 500 {
		many.WriteString("&x" + strings.Repeat("y", i) + "=1")
	}
	_, err = readQuery(t, many.String())
	require.Len(t, errs.As(err).Fields, maxProblems)
	for _, f := range errs.As(err).Fields {
		require.LessOrEqual(t, len(f.Field), maxFieldName+len("…"))
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	id := models.NewID[models.AccountPrefix]()
	cursor := encodeCursor("accounts", positionID(id))
	position, ok := decodeCursor("accounts", cursor, 16)
	require.True(t, ok)
	require.Equal(t, id[:], position)
	for name, bad := range map[string]string{
		"cut off": cursor[:len(cursor)-1], "longer": cursor + "A", "empty": "", "padded": cursor + "=",
		"another list": encodeCursor("transactions", positionID(id)),
		"another kind": encodeCursor("accounts", positionSequence(7)),
		"no base64":    strings.Repeat("!", len(cursor)),
	} {
		_, ok := decodeCursor("accounts", bad, 16)
		require.False(t, ok, name)
	}
	requireNoChangeGoes(t, "accounts", cursor, 16)
	requireNoChangeGoes(t, "entries", encodeCursor("entries", positionSequence(7)), 8)
}

// requireNoChangeGoes puts every other character in every place of a cursor.
func requireNoChangeGoes(t *testing.T, list, cursor string, size int) {
	t.Helper()
	for i := range cursor {
		for _, other := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. " {
			changed := cursor[:i] + string(other) + cursor[i+1:]
			_, ok := decodeCursor(list, changed, size)
			require.Equal(t, changed == cursor, ok, "%s", changed)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	shape := func(n int64) string { return strings.Repeat("x", int(n)) }
	p := page{List: "entries", Limit: 2}
	list := newList(p, []int64{1, 2, 3}, shape, positionSequence)
	require.Equal(t, []string{"x", "xx"}, list.Data)
	require.True(t, list.HasMore)
	q := newQuery(&http.Request{URL: &url.URL{RawQuery: "cursor=" + *list.NextCursor}})
	_, after := pageBySequence(q, "entries")
	require.NoError(t, q.Err())
	require.Equal(t, int64(2), *after, "the next page begins after the last row shown")

	list = newList(p, []int64{1, 2}, shape, positionSequence)
	require.False(t, list.HasMore)
	require.Nil(t, list.NextCursor)
	list = newList(p, nil, shape, positionSequence)
	require.NotNil(t, list.Data, "an empty list is [], not null")
}
