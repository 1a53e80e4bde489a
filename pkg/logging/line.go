package logging

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/sirupsen/logrus"
)

// Line is the one canonical line of a request or of a delivery attempt, its fields in
// the order in which they are added. In JSON it is written past logrus, which copies
// the fields of an entry three times and sorts them: that was a third of all the work
// around a movement, and a seventh of what a dispatcher does for a delivery.
type Line []field

// field is a name with a value that reads the same in JSON, but for quotes.
type field struct {
	name, value string
	// quoted says that the value is text.
	quoted bool
}

// Text adds a text, unless it is empty.
func (l Line) Text(name, value string) Line {
	if value == "" {
		return l
	}
	return append(l, field{name, value, true})
}

// Int adds a number.
func (l Line) Int(name string, value int64) Line {
	return append(l, field{name: name, value: strconv.FormatInt(value, 10)})
}

// Milliseconds adds a duration in milliseconds, to the microsecond.
func (l Line) Milliseconds(name string, value time.Duration) Line {
	return append(l, field{name: name, value: strconv.FormatFloat(float64(value.Microseconds())/1000, 'f', -1, 64)})
}

// True adds true, unless it is false.
func (l Line) True(name string, value bool) Line {
	if !value {
		return l
	}
	return append(l, field{name: name, value: "true"})
}

// lineKey is where an entry's context carries its line.
type lineKey struct{}

// Write logs the line.
func (l Line) Write(log *logrus.Logger, level logrus.Level, message string) {
	entry := &logrus.Entry{Logger: log, Time: time.Now()}
	if _, knows := log.Formatter.(*formatter); knows {
		entry.Context = context.WithValue(context.Background(), lineKey{}, l)
	} else {
		entry.Data = l.fields()
	}
	entry.Log(level, message)
}

func (l Line) fields() logrus.Fields {
	fields := make(logrus.Fields, len(l))
	for _, f := range l {
		fields[f.name] = f.value
	}
	return fields
}

// formatter writes canonical lines itself and leaves all other entries to the one that
// it wraps.
type formatter struct{ next *logrus.JSONFormatter }

// Format implements logrus.Formatter.
func (f *formatter) Format(entry *logrus.Entry) ([]byte, error) {
	if entry.Context != nil {
		if l, ok := entry.Context.Value(lineKey{}).(Line); ok {
			return l.format(entry), nil
		}
	}
	return f.next.Format(entry)
}

func (l Line) format(entry *logrus.Entry) []byte {
	buffer := entry.Buffer
	if buffer == nil {
		buffer = new(bytes.Buffer)
	}
	buffer.Grow(512)
	b := append(buffer.AvailableBuffer(), `{"time":"`...)
	b = entry.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	b = appendField(b, field{"level", entry.Level.String(), true})
	b = appendField(b, field{"message", entry.Message, true})
	for _, f := range l {
		b = appendField(b, f)
	}
	_, _ = buffer.Write(append(b, '}', '\n')) // never fails
	return buffer.Bytes()
}

func appendField(b []byte, f field) []byte {
	b = append(b, ',', '"')
	b = append(b, f.name...)
	b = append(b, '"', ':')
	if !f.quoted {
		return append(b, f.value...)
	}
	b, _ = jsontext.AppendQuote(b, f.value) // invalid UTF-8 is replaced, which is what a log wants
	return b
}
