package middleware

import (
	"bytes"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
)

// TestBothFormsOfTheLineAgree: whether or not the formatter knows lines, they
// say the same.
func TestBothFormsOfTheLineAgree(t *testing.T) {
	t.Parallel()
	for _, l := range []*line{
		{requestID: "req_1", method: "GET", route: "/livez", client: "::1", status: 200, took: 1234567 * time.Nanosecond},
		{
			requestID: `"quoted"`, method: "POST", route: "/v1/accounts", client: "203.0.113.9", status: 500, took: 2 * time.Second,
			traceID: "0af7651916cd43dd8448eb211c80319c", business: "biz_1", key: "key_1", replayed: true, code: "internal", cause: "line\nbreak \x00 \xff <&>",
		},
	} {
		var texts []map[string]any
		plain := &logrus.JSONFormatter{
			TimestampFormat: time.RFC3339Nano,
			FieldMap:        logrus.FieldMap{logrus.FieldKeyTime: "time", logrus.FieldKeyMsg: "message"},
		}
		for _, formatter := range []logrus.Formatter{plain, FormatLines(plain)} {
			var out bytes.Buffer
			log := logrus.New()
			log.SetOutput(&out)
			log.SetLevel(logrus.DebugLevel)
			log.SetFormatter(formatter)
			l.write(log)
			require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("\n")), "one line")
			var fields map[string]any
			require.NoError(t, json.Unmarshal(out.Bytes(), &fields), out.String())
			at, err := time.Parse(time.RFC3339Nano, fields["time"].(string))
			require.NoError(t, err)
			require.WithinDuration(t, time.Now(), at, time.Minute)
			delete(fields, "time")
			texts = append(texts, fields)
		}
		require.Equal(t, texts[0], texts[1])
	}
}

func TestFormatLinesLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	text := &logrus.TextFormatter{}
	require.Same(t, text, FormatLines(text))
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	log.SetFormatter(FormatLines(&logrus.JSONFormatter{}))
	log.WithField("a", 1).Warn("hello")
	require.Contains(t, out.String(), `"a":1`)
	require.Contains(t, out.String(), `"msg":"hello"`)
}
