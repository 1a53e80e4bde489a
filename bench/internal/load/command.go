package load

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endGrace is how long a load generator may take to end when it is told to.
const endGrace = 3 * time.Second

// command prepares a child in a process group of its own, so that Ctrl-C reaches
// only this program, which then ends its children in order.
func command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endGrace
	return cmd
}

// seconds rounds up to whole seconds, all that the load generators understand.
func seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

// lastLines keeps errors readable.
func lastLines(text string) string {
	const kept = 5
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-kept):], "\n")
}
