package devstack

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	maxLogSize  = 16 << 20 // a log beyond this starts again from empty at the next start
	logTailSize = 4 << 10
)

// serverLog is the file that a server writes to. start is where the output of the present start begins.
type serverLog struct {
	file  *os.File
	start int64
}

func openLog(path string) (*serverLog, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("server log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("server log: %w", err)
	}
	start := info.Size()
	if start > maxLogSize && file.Truncate(0) == nil {
		start = 0
	}
	return &serverLog{file: file, start: start}, nil
}

// tail returns the last few kilobytes that the present start wrote.
func (l *serverLog) tail() string {
	info, err := l.file.Stat()
	if err != nil {
		return ""
	}
	from := max(l.start, info.Size()-logTailSize)
	out, _ := io.ReadAll(io.NewSectionReader(l.file, from, logTailSize))
	return strings.TrimSpace(string(out))
}

func (l *serverLog) close() { l.file.Close() }
