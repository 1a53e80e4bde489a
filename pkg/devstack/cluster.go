package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	lockFile = "postgres.lock"
	logFile  = "postgres.log"
)

// superuser is the one role of the clusters.
const superuser = "txn"

// cluster is a data directory, the place of its PostgreSQL files and who may touch them.
type cluster struct {
	dataDir string
	state   clusterState
	install postgresInstall
	who     account
}

func (c *cluster) pgdata() string { return filepath.Join(c.state.Location, "pgdata") }

// openCluster finds or makes the cluster of dataDir. The caller holds the directory's lock.
func openCluster(ctx context.Context, dataDir string, durable bool) (*cluster, error) {
	state, err := loadState(dataDir)
	if err != nil {
		return nil, err
	}
	c := &cluster{dataDir: dataDir, state: state}
	if state.Location != "" {
		major, err := clusterMajor(c.pgdata())
		if err != nil {
			return nil, err
		}
		if major != 0 {
			return c, c.reopen(major)
		}
	}
	return c, c.create(ctx, durable)
}

// clusterMajor returns the major version of the cluster in pgdata, 0 if there is none.
func clusterMajor(pgdata string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(pgdata, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open cluster: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, fmt.Errorf("open cluster: PG_VERSION in %s: %w", pgdata, err)
	}
	return major, nil
}

func (c *cluster) reopen(major int) error {
	var err error
	if c.install, err = findPostgres(major); err != nil {
		return fmt.Errorf("the cluster in %s was made by PostgreSQL %d: install that version or start over: %w",
			c.pgdata(), major, err)
	}
	c.who, err = serverAccount(c.pgdata())
	return err
}

// create runs initdb in a directory beside pgdata and renames it when done, so that a start that is interrupted leaves
// nothing that looks like a cluster.
func (c *cluster) create(ctx context.Context, durable bool) error {
	var err error
	if c.install, err = findPostgres(0); err != nil {
		return err
	}
	if c.who, err = serverAccount(""); err != nil {
		return err
	}
	location, err := placeCluster(c.who, c.install.binDir, c.dataDir)
	if err != nil {
		return err
	}
	c.state = clusterState{Location: location, Password: newPassword(), Port: c.state.Port}
	if err := c.clearLocation(ctx); err != nil {
		return err
	}
	if err := c.state.save(c.dataDir); err != nil {
		return err
	}
	unfinished := c.pgdata() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("create cluster: %w", err)
	}
	if err := c.initdb(ctx, unfinished, durable); err != nil {
		return err
	}
	if err := os.Rename(unfinished, c.pgdata()); err != nil {
		return fmt.Errorf("create cluster: %w", err)
	}
	return nil
}

// clearLocation makes room for a new cluster. Outside of dataDir it drops the cluster of a data directory of the same
// name that somebody deleted; within dataDir a cluster without its state file is not ours to drop.
func (c *cluster) clearLocation(ctx context.Context) error {
	if _, err := os.Stat(c.pgdata()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if c.state.Location == c.dataDir {
		return fmt.Errorf("%s exists but %s, which holds its password, is missing: move it away to start over",
			c.pgdata(), filepath.Join(c.dataDir, stateFile))
	}
	if err := stopLeftover(ctx, c.pgdata()); err != nil {
		return err
	}
	if err := os.RemoveAll(c.pgdata()); err != nil {
		return fmt.Errorf("create cluster: %w", err)
	}
	return nil
}

func (c *cluster) initdb(ctx context.Context, dir string, durable bool) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("create cluster: %w", err)
	}
	passwordFile := dir + ".password"
	defer os.Remove(passwordFile)
	if err := os.WriteFile(passwordFile, []byte(scramVerifier(c.state.Password)+"\n"), 0o600); err != nil {
		return fmt.Errorf("create cluster: %w", err)
	}
	for _, path := range []string{dir, passwordFile} {
		if err := c.who.own(path); err != nil {
			return fmt.Errorf("create cluster: %w", err)
		}
	}
	args := []string{
		"--pgdata=" + dir, "--username=" + superuser, "--pwfile=" + passwordFile, "--auth=scram-sha-256",
		"--encoding=UTF8", "--no-locale",
	}
	if !durable {
		args = append(args, "--no-sync")
	}
	cmd := exec.Command(filepath.Join(c.install.binDir, "initdb"), args...)
	cmd.Dir = c.state.Location
	cmd.Env = cleanEnv()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	running, err := startProcess(cmd, c.who.credential, syscall.SIGTERM)
	if err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	select {
	case <-running.done:
		err = running.err
	case <-ctx.Done():
		err = running.stop(ctx, syscall.SIGTERM, syscall.SIGTERM)
	}
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// RemovePostgres deletes the cluster of dataDir with all its data, wherever it was placed, and keeps dataDir itself.
// The error is ErrInUse while the cluster is running under another process.
func RemovePostgres(ctx context.Context, dataDir string) error {
	dataDir, err := filepath.Abs(dataDir)
	if err != nil {
		return fmt.Errorf("remove cluster: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dataDir, stateFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(filepath.Join(dataDir, lockFile))
	if err != nil {
		return err
	}
	defer lock.unlock()
	state, err := loadState(dataDir)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(state.Location) {
		return fmt.Errorf("remove cluster: %s does not say where it is", filepath.Join(dataDir, stateFile))
	}
	c := &cluster{dataDir: dataDir, state: state}
	if err := stopLeftover(ctx, c.pgdata()); err != nil {
		return err
	}
	doomed := []string{c.pgdata(), c.pgdata() + ".new"}
	if state.Location != dataDir {
		doomed = append(doomed, state.Location)
	}
	for _, path := range append(doomed, filepath.Join(dataDir, logFile), filepath.Join(dataDir, stateFile)) {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove cluster: %w", err)
		}
	}
	for _, home := range clusterHomes {
		_ = os.Remove(home) // succeeds once it is empty
	}
	return nil
}
