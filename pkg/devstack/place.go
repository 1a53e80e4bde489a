package devstack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// reachableMode lets every user pass through a directory and nobody else look into it.
const reachableMode = 0o711

// clusterHomes hold the clusters of root whose data directory the server's user cannot reach.
var clusterHomes = []string{"/var/lib/txn-dev", "/var/tmp/txn-dev"}

// placeCluster returns the directory for the cluster of dataDir, made if need be. It is dataDir itself if the server's
// account can reach it, after opening dataDir for passing through if it is ours. If one of its parents is closed
// (/root, a 0700 directory of mktemp -d), it is a directory of its own outside: the permissions of parents are not ours
// to change.
func placeCluster(who account, binDir, dataDir string) (string, error) {
	reachable, err := who.reaches(binDir, dataDir)
	if err != nil || reachable {
		return dataDir, err
	}
	if isOurs(dataDir) {
		if err := os.Chmod(dataDir, reachableMode); err != nil {
			return "", fmt.Errorf("place cluster: %w", err)
		}
		if reachable, err = who.reaches(binDir, dataDir); err != nil || reachable {
			return dataDir, err
		}
	}
	var failures []error
	for _, home := range clusterHomes {
		dir, err := outsideDir(home, dataDir)
		if err == nil {
			reachable, err = who.reaches(binDir, dir)
		}
		if err == nil && reachable {
			return dir, nil
		}
		failures = append(failures, err)
	}
	return "", fmt.Errorf("no directory that user %s can reach for the cluster of %s (and can it run %s?): %w",
		who.name, dataDir, binDir, errors.Join(failures...))
}

// outsideDir makes the directory below home for the cluster of dataDir. Home may lie in a directory that all users
// can write to, so anything there that is not the caller's is refused.
func outsideDir(home, dataDir string) (string, error) {
	sum := sha256.Sum256([]byte(dataDir))
	dir := filepath.Join(home, hex.EncodeToString(sum[:8]))
	for _, path := range []string{home, dir} {
		if err := os.Mkdir(path, reachableMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return "", err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !info.IsDir() || !ok || int(stat.Uid) != os.Geteuid() {
			return "", fmt.Errorf("%s exists and is not a directory of this user", path)
		}
		if err := os.Chmod(path, reachableMode); err != nil { // against a strict umask
			return "", err
		}
	}
	return dir, os.WriteFile(filepath.Join(dir, "data-dir"), []byte(dataDir+"\n"), 0o600) // says whose cluster it is
}

// isOurs reports whether the directory was made for us: it holds a cluster's state, or nothing but our lock.
func isOurs(dir string) bool {
	if _, err := os.Stat(filepath.Join(dir, stateFile)); err == nil {
		return true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		if entry.Name() != lockFile && entry.Name() != logFile {
			return false
		}
	}
	return true
}

// tempDir makes a temporary directory that the account can reach, in TMPDIR if possible.
func tempDir(who account, binDir, name string) (string, error) {
	var failures []error
	for _, parent := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		dir, err := os.MkdirTemp(parent, name)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if who.credential == nil {
			return dir, nil
		}
		reachable := false
		if err = os.Chmod(dir, reachableMode); err == nil {
			reachable, err = who.reaches(binDir, dir)
		}
		if err == nil && reachable {
			return dir, nil
		}
		failures = append(failures, err, os.Remove(dir))
	}
	return "", fmt.Errorf("no temporary directory that the PostgreSQL server can use: %w", errors.Join(failures...))
}
