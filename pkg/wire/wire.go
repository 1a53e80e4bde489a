// Package wire holds the JSON shapes of the service's objects, shared by the
// API's answers and the bodies of webhook events, so that both always show the
// same object in the same way.
//
// Encoding is by github.com/go-json-experiment/json (the module behind Go's
// encoding/json/v2): deterministic, no HTML escaping, and strict on the way in.
package wire

import (
	"bytes"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
)

// timeLayout is RFC 3339 in UTC with microseconds, always six digits: times
// compare as strings, and nothing is lost against timestamptz.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// Time is a point in time on the wire.
type Time time.Time

// AppendText appends RFC 3339 UTC with microseconds (encoding.TextAppender).
func (t Time) AppendText(b []byte) ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(b, timeLayout), nil
}

// MarshalText writes RFC 3339 UTC with microseconds (encoding.TextMarshaler).
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(make([]byte, 0, len(timeLayout))) }

var errNoRFC3339 = errors.New("is no time in RFC 3339")

// UnmarshalText reads RFC 3339 (encoding.TextUnmarshaler). What package time
// takes besides (go.dev/issue/54580) is refused: an hour of one digit, a comma
// for the point, an offset of 60 minutes.
func (t *Time) UnmarshalText(text []byte) error {
	parsed, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return err
	}
	utc := text[len(text)-1] == 'Z'
	if text[len("2006-01-02T15")] != ':' || bytes.IndexByte(text, ',') >= 0 || !utc && text[len(text)-2] > '5' {
		return errNoRFC3339
	}
	*t = Time(parsed.UTC())
	return nil
}

// ParseTime reads RFC 3339 from a query parameter.
func ParseTime(text string) (time.Time, error) {
	var t Time
	err := t.UnmarshalText([]byte(text))
	return time.Time(t), err
}

func timeOrNil(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	converted := Time(*t)
	return &converted
}

// List is one page of a keyset-paged list.
type List[T any] struct {
	Data    []T  `json:"data"`
	HasMore bool `json:"has_more"`
	// NextCursor is null on the last page.
	NextCursor *string `json:"next_cursor"`
}

// Marshal encodes a shape of this package.
func Marshal(shape any) ([]byte, error) { return json.Marshal(shape, json.Deterministic(true)) }

func metadata(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
