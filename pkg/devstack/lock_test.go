package devstack

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnlockFreesTheDirectoryThoughAChildHasACopy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := lockDir(path)
	require.NoError(t, err)
	_, err = lockDir(path)
	require.ErrorIs(t, err, ErrInUse)
	// What a process between fork and exec has.
	duplicate, err := syscall.Dup(int(lock.file.Fd()))
	require.NoError(t, err)
	defer syscall.Close(duplicate)
	lock.unlock()
	lock.unlock()
	again, err := lockDir(path)
	require.NoError(t, err)
	again.unlock()
}
