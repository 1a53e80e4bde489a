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
	s.notePeaks()
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.peaks)
}

// ResetPeaks begins a new measurement for RecentPeaks.
func (s *Stack) ResetPeaks() {
	for _, service := range s.notePeaks() {
		resetPeak(service.process.cmd.Process.Pid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.recent)
}

// RecentPeaks is Peaks since the last ResetPeaks.
func (s *Stack) RecentPeaks() map[string]int64 {
	s.notePeaks()
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.recent)
}

// notePeaks reads all services and returns those that run.
func (s *Stack) notePeaks() []*Service {
	var alive []*Service
	for _, service := range s.running() {
		if service.notePeak() > 0 {
			alive = append(alive, service)
		}
	}
	return alive
}

// notePeak returns 0 for a process that has ended and where the system does not
// tell.
func (v *Service) notePeak() int64 {
	if v.process.ended() {
		return 0 // its process id may be somebody else's by now
	}
	peak := peakMemory(v.process.cmd.Process.Pid)
	v.stack.mu.Lock()
	defer v.stack.mu.Unlock()
	v.stack.peaks[v.name] = max(v.stack.peaks[v.name], peak)
	v.stack.recent[v.name] = max(v.stack.recent[v.name], peak)
	return peak
}

// resetPeak makes VmHWM begin again from what is resident now. Where that is not
// possible the peak stays that of the process's whole life, which errs on the
// high side.
func resetPeak(pid int) {
	const resetHighWaterMark = "5" // proc(5), clear_refs
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/clear_refs", []byte(resetHighWaterMark), 0)
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
