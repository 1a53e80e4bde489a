//go:build !linux

package devstack

import (
	"os/exec"
	"strconv"
	"syscall"
)

// setParentDeathSignal does nothing: only Linux tells a child that its parent died. The guard does the work alone.
func setParentDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}

// commandLine returns the arguments of a running process, or "" if there is no such process.
func commandLine(pid int) string {
	out, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return string(out)
}
