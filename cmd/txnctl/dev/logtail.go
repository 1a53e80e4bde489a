package dev

import (
	"bytes"
	"io"
	"os"
)

// tailSize is how much of a log is shown when its process fails, in bytes.
const tailSize = 2000

// tail returns the last lines of a file.
func tail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	whole := true
	if info, err := file.Stat(); err == nil && info.Size() > tailSize {
		_, _ = file.Seek(-tailSize, io.SeekEnd) // at worst the beginning is shown
		whole = false
	}
	text, err := io.ReadAll(io.LimitReader(file, tailSize))
	if err != nil {
		return err.Error()
	}
	if _, rest, found := bytes.Cut(text, []byte("\n")); !whole && found {
		text = rest // the first line is cut off
	}
	return string(bytes.TrimSpace(text))
}
