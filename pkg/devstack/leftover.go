package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// leftoverGrace is how long a server of a dead process may take to shut down.
const leftoverGrace = 30 * time.Second

// postmaster is what the file postmaster.pid of a data directory says. PostgreSQL documents its lines: process id,
// data directory, start time, port, socket directory, listen address, shared memory, status.
type postmaster struct {
	pid   int
	port  int
	ready bool
}

// readPostmaster returns the zero postmaster if the file is missing or not yet complete.
func readPostmaster(pgdata string) postmaster {
	raw, err := os.ReadFile(filepath.Join(pgdata, "postmaster.pid"))
	if err != nil {
		return postmaster{}
	}
	lines := strings.Split(string(raw), "\n")
	var found postmaster
	found.pid, _ = strconv.Atoi(strings.TrimSpace(lines[0]))
	if len(lines) > 3 {
		found.port, _ = strconv.Atoi(strings.TrimSpace(lines[3]))
	}
	found.ready = len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"
	return found
}

// stopLeftover stops a server that still runs on pgdata although the process that started it is gone (the caller holds
// the lock that it held). It signals a process only if its command line names pgdata: after a crash of the machine
// the process id in the file belongs to anyone. In that case the file is removed, because PostgreSQL would refuse to
// start while a process of that id exists.
func stopLeftover(ctx context.Context, pgdata string) error {
	found := readPostmaster(pgdata)
	if found.pid <= 0 {
		return nil
	}
	if !servesCluster(found.pid, pgdata) {
		if syscall.Kill(found.pid, 0) == nil && !portTaken(found.port) {
			err := os.Remove(filepath.Join(pgdata, "postmaster.pid"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove stale pid file: %w", err)
			}
		}
		return nil
	}
	if err := syscall.Kill(found.pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop leftover PostgreSQL %d: %w", found.pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, leftoverGrace)
	defer cancel()
	for servesCluster(found.pid, pgdata) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("leftover PostgreSQL %d on %s does not stop: %w", found.pid, pgdata, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
	return nil
}

func servesCluster(pid int, pgdata string) bool {
	return strings.Contains(commandLine(pid)+" ", " -D "+pgdata+" ")
}
