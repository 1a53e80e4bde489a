package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// maxQueryValue bounds the value of a parameter, in bytes.
const maxQueryValue = 2048

// query reads a request's query string. Its getters return nil, or the default,
// for a parameter that is not there; Err, called after the last of them, reports
// everything that was wrong, parameters that no getter asked for included:
//
//	q := newQuery(c.Request)
//	dryRun := q.boolean("dry_run")
//	if err := q.Err(); err != nil {
//		return err
//	}
//
// All errors are invalid_request: a query is read or it is not.
type query struct {
	values   url.Values
	known    map[string]bool
	problems []errs.Field
}

func newQuery(r *http.Request) *query {
	if r.URL.RawQuery == "" {
		return &query{}
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values, known: make(map[string]bool)}
	if err != nil {
		q.refuse("query", "is not properly encoded")
	}
	return q
}

func (q *query) refuse(name, message string) {
	q.problems = append(q.problems, errs.Field{Field: shorten(name), Message: message})
}

// one returns the parameter's only value. It must be text that a database can
// hold.
func (q *query) one(name string) (string, bool) {
	values, given := q.values[name]
	if !given {
		return "", false
	}
	q.known[name] = true
	switch value := values[0]; {
	case len(values) > 1:
		q.refuse(name, "is given more than once")
	case len(value) > maxQueryValue:
		q.refuse(name, "is too long")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		q.refuse(name, "must be UTF-8 without control characters")
	default:
		return value, true
	}
	return "", false
}

// text returns a parameter as it is.
func (q *query) text(name string) *string {
	if value, given := q.one(name); given {
		return &value
	}
	return nil
}

// oneOf returns a parameter that must be one of the values.
func (q *query) oneOf(name string, allowed ...string) *string {
	value, given := q.one(name)
	if !given {
		return nil
	}
	for _, a := range allowed {
		if value == a {
			return &value
		}
	}
	q.refuse(name, "must be one of "+strings.Join(allowed, ", "))
	return nil
}

// boolean returns a parameter that is `true` or `false`; false by default.
func (q *query) boolean(name string) bool {
	value, given := q.one(name)
	if given && value != "true" && value != "false" {
		q.refuse(name, "must be true or false")
	}
	return value == "true"
}

// integer returns a parameter that is an integer between the bounds.
func (q *query) integer(name string, least, most, byDefault int) int {
	value, given := q.one(name)
	if !given {
		return byDefault
	}
	number, err := strconv.Atoi(value)
	if err != nil || number < least || number > most || value[0] == '+' {
		q.refuse(name, "must be an integer from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
		return byDefault
	}
	return number
}

// time returns a parameter that is a time in RFC 3339.
func (q *query) time(name string) *time.Time {
	value, given := q.one(name)
	if !given {
		return nil
	}
	at, err := wire.ParseTime(value)
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		q.refuse(name, "must be a time in RFC 3339, such as 2026-01-31T12:00:00Z")
		return nil
	}
	return &at
}

// metadata returns the pairs of `metadata[key]=value` parameters, nil when there
// are none.
func (q *query) metadata() map[string]string {
	var pairs map[string]string
	for name := range q.values {
		key, found := strings.CutPrefix(name, "metadata[")
		if !found || !strings.HasSuffix(key, "]") {
			continue
		}
		key = strings.TrimSuffix(key, "]")
		value, given := q.one(name)
		if !given {
			continue
		}
		if key == "" || utf8.RuneCountInString(key) > models.MaxMetadataKey ||
			!utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
			q.refuse("metadata", "keys must have 1 to "+strconv.Itoa(models.MaxMetadataKey)+" characters")
			continue
		}
		if pairs == nil {
			pairs = make(map[string]string)
		}
		pairs[key] = value
	}
	if len(pairs) > models.MaxMetadataPairs {
		q.refuse("metadata", "must have at most "+strconv.Itoa(models.MaxMetadataPairs)+" pairs")
	}
	return pairs
}

// queryID returns a parameter that is an id of the kind.
func queryID[P models.Prefix](q *query, name string) *models.ID[P] {
	value, given := q.one(name)
	if !given {
		return nil
	}
	id, err := models.ParseID[P](value)
	if err != nil {
		q.refuse(name, "is not an id of the right kind")
		return nil
	}
	return &id
}

// Err returns an invalid_request that names each bad parameter, or nil.
func (q *query) Err() error {
	for name := range q.values {
		if !q.known[name] {
			q.refuse(name, "is not a parameter of this request")
		}
	}
	if len(q.problems) == 0 {
		return nil
	}
	// Parameters come out of a map: the same request gets the same answer.
	slices.SortFunc(q.problems, func(a, b errs.Field) int { return strings.Compare(a.Field, b.Field) })
	first := q.problems[0]
	return &errs.Error{
		Code:   errs.InvalidRequest,
		Detail: first.Field + ": " + first.Message,
		Fields: q.problems[:min(len(q.problems), maxProblems)],
	}
}

// maxProblems bounds the fields that one answer names.
const maxProblems = 20
