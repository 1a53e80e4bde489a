package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the operating-system user that the PostgreSQL server runs as. The zero account is the caller's own.
type account struct {
	name       string
	credential *syscall.Credential // nil: the caller's
}

// serverAccount returns who runs PostgreSQL. That is the caller, unless it is root: then the owner of the cluster if
// there is one already, else the user postgres (_postgres on macOS), else nobody.
func serverAccount(dataDir string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	if info, err := os.Stat(dataDir); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			return newAccount(strconv.Itoa(int(stat.Uid)), stat.Uid, stat.Gid), nil
		}
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			continue
		}
		return newAccount(name, uint32(uid), uint32(gid)), nil
	}
	return account{}, errors.New("PostgreSQL does not run as root, and neither of the users postgres and nobody exists")
}

func newAccount(name string, uid, gid uint32) account {
	return account{name: name, credential: &syscall.Credential{Uid: uid, Gid: gid}}
}

// own hands path over to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(path, int(a.credential.Uid), int(a.credential.Gid))
}

// reaches reports whether the account can enter dir through all of its parents. The kernel judges, not an
// interpretation of mode bits and access lists: a process of that user changes into the directory.
func (a account) reaches(binDir, dir string) (bool, error) {
	if a.credential == nil {
		return true, nil
	}
	cmd := exec.Command(filepath.Join(binDir, "postgres"), "--version")
	cmd.Dir = dir
	cmd.Env = cleanEnv()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential}
	err := cmd.Run()
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.EACCES):
		return false, nil
	default: // EPERM: a container without the right to change users
		return false, fmt.Errorf("run %s as user %s: %w", cmd.Path, a.name, err)
	}
}
