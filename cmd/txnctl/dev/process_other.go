//go:build !linux

package dev

import "syscall"

// endWithParent does nothing: only Linux can end a child with its parent. A
// killed txnctl leaves the services behind, which find their database gone.
func endWithParent(*syscall.SysProcAttr) {}
