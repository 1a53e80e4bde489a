// Package logging sets up logrus: JSON lines on standard output, one canonical
// line per request and per delivery attempt, never a secret.
package logging

import (
	"fmt"
	"io"
	"time"

	"github.com/sirupsen/logrus"
)

// New returns a logger that writes to out. level is debug, info, warn or error;
// format is json or text.
func New(out io.Writer, level, format string) (*logrus.Logger, error) {
	parsed, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	log := logrus.New()
	log.SetOutput(out)
	log.SetLevel(parsed)
	switch format {
	case "json":
		log.SetFormatter(&formatter{&logrus.JSONFormatter{
			TimestampFormat: time.RFC3339Nano,
			FieldMap:        logrus.FieldMap{logrus.FieldKeyTime: "time", logrus.FieldKeyMsg: "message"},
		}})
	case "text":
		log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true})
	default:
		return nil, fmt.Errorf("log.format: %q is neither json nor text", format)
	}
	return log, nil
}
