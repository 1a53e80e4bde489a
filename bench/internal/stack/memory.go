package stack

import (
	"bufio"
	"bytes"
	"maps"
	"os"
	"strconv"
	"strings"
)

// Peaks returns the largest resident size in bytes that any process of each
// service has had so far. It is empty where the system does not tell (only
// Linux does).
func (s *Stack) Peaks() map[string]int64 {
	for _, service := range s.running() {
		service.notePeak()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.peaks)
}

func (v *Service) notePeak() {
	if v.process.ended() {
		return // its process id may be somebody else's by now
	}
	peak := peakMemory(v.process.cmd.Process.Pid)
	v.stack.mu.Lock()
	defer v.stack.mu.Unlock()
	if peak > v.stack.peaks[v.name] {
		v.stack.peaks[v.name] = peak
	}
}

// peakMemory returns VmHWM of a process in bytes, 0 if it is not known.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	return parsePeak(status)
}

// parsePeak finds VmHWM, which Linux gives in kB.
func parsePeak(status []byte) int64 {
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		value, found := strings.CutPrefix(lines.Text(), "VmHWM:")
		if !found {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}
