package logging_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/logging"
)

func newLogger(t *testing.T, format string) (*logrus.Logger, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	log, err := logging.New(&out, "debug", format)
	require.NoError(t, err)
	return log, &out
}

func TestLine(t *testing.T) {
	t.Parallel()
	log, out := newLogger(t, "json")
	logging.Line{}.
		Text("quoted", `"a"`).
		Text("broken", "line\nbreak \x00 \xff <&>").
		Text("nothing", "").
		Int("status", 201).
		Milliseconds("duration_ms", 1234567*time.Nanosecond).
		True("replayed", true).
		True("stale", false).
		Write(log, logrus.WarnLevel, "request")
	require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("\n")), "one line")
	var fields map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &fields), out.String())
	at, err := time.Parse(time.RFC3339Nano, fields["time"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
	delete(fields, "time")
	require.Equal(t, map[string]any{
		"level": "warning", "message": "request", "quoted": `"a"`, "broken": "line\nbreak \x00 \uFFFD <&>",
		"status": 201.0, "duration_ms": 1.234, "replayed": true,
	}, fields)
}

// TestLinesLookLikeOtherEntries: what reads the log need not know which wrote it.
func TestLinesLookLikeOtherEntries(t *testing.T) {
	t.Parallel()
	log, out := newLogger(t, "json")
	logging.Line{}.Text("a", "b").Write(log, logrus.InfoLevel, "hello")
	log.WithField("a", "b").Info("hello")
	var lines []map[string]any
	for line := range bytes.Lines(out.Bytes()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal(line, &fields), string(line))
		delete(fields, "time")
		lines = append(lines, fields)
	}
	require.Len(t, lines, 2)
	require.Equal(t, lines[1], lines[0])
}

func TestLineAsText(t *testing.T) {
	t.Parallel()
	log, out := newLogger(t, "text")
	logging.Line{}.Text("route", "/v1/business").Int("status", 200).Write(log, logrus.InfoLevel, "request")
	require.Regexp(t, `level=info msg=request route=/v1/business status=200`, out.String())
}

// BenchmarkLine is what every request and every delivery attempt pays.
func BenchmarkLine(b *testing.B) {
	log, err := logging.New(discard{}, "info", "json")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		make(logging.Line, 0, 12).
			Text("request_id", "req_1a1552f8885e3b9db51132eb291b8f").Text("method", "POST").Text("route", "/v1/transactions").
			Int("status", 201).Milliseconds("duration_ms", 5*time.Millisecond).Text("client_ip", "203.0.113.9").
			Text("business_id", "biz_01h455vb4pex5vsknk084sn02q").Text("key_id", "key_01h455vb4pex5vsknk084sn02q").
			Write(log, logrus.InfoLevel, "request")
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
