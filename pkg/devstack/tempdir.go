package devstack

import (
	"errors"
	"os"
	"syscall"
)

// TempDir makes a temporary directory whose name begins with name. It is gone with remove, or with this process,
// however it ends.
func TempDir(name string) (dir string, remove func() error, err error) {
	if dir, err = os.MkdirTemp("", name); err != nil {
		return "", nil, err
	}
	watch, err := startGuard(syscall.SIGKILL, dir) // nothing is ever named to be killed
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, watch.close, nil
}
