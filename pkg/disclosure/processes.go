package disclosure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// InCommandLines is In for what everybody on the machine sees of a process and of
// those that it has started; nothing where there is no /proc.
func InCommandLines(pid int) (found []string) {
	family := map[string]bool{strconv.Itoa(pid): true}
	parents := parents()
	for grown := true; grown; {
		grown = false
		for child, parent := range parents {
			if family[parent] && !family[child] {
				family[child], grown = true, true
			}
		}
	}
	for member := range family {
		line, err := os.ReadFile(filepath.Join("/proc", member, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		words := strings.ReplaceAll(string(line), "\x00", " ")
		for _, place := range In(words) {
			found = append(found, fmt.Sprintf("process %s: %s", member, place))
		}
	}
	return found
}

// parents tells the parent of every process.
func parents() map[string]string {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	of := make(map[string]string)
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name, in parentheses, may have anything in it; behind it come the state and
		// the parent (proc(5)).
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 1 {
			of[filepath.Base(filepath.Dir(path))] = fields[1]
		}
	}
	return of
}
