package devstack

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

func setParentDeathSignal(attr *syscall.SysProcAttr, signal syscall.Signal) {
	attr.Pdeathsig = signal
}

// commandLine returns the arguments of a running process, or "" if there is no such process or it is a zombie.
func commandLine(pid int) string {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return ""
	}
	return string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '}))
}
