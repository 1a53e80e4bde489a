//go:build !linux

package stack

import "syscall"

// endWithParent can do nothing here: a benchmark that is killed leaves its
// services running, a benchmark that is interrupted does not.
func endWithParent(*syscall.SysProcAttr) {}
