package devstack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dirLock is an exclusive lock on a directory; the kernel drops it when the process ends.
type dirLock struct {
	file *os.File
}

// lockDir takes the lock kept in the file path. It does not wait: the error is ErrInUse if another holder has it.
func lockDir(path string) (*dirLock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer file.Close()
		owner, _ := io.ReadAll(io.LimitReader(file, 32))
		return nil, fmt.Errorf("%w: process %s holds %s", ErrInUse, strings.TrimSpace(string(owner)), path)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for the message above alone
	return &dirLock{file: file}, nil
}

// unlock may be called more than once. Closing alone would not do: a child that another goroutine is just starting has
// a copy of the descriptor between its fork and its exec, and the lock lives as long as any copy.
func (l *dirLock) unlock() {
	if l.file != nil {
		_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) // the file's end drops it too
		l.file.Close()
		l.file = nil
	}
}
