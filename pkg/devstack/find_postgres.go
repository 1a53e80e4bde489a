package devstack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// oldestPostgres is the oldest supported major version.
const oldestPostgres = 14

// probeTimeout bounds one call of a binary that is asked for its version or its folder.
const probeTimeout = 5 * time.Second

// postgresFolders are where packages put the server's binaries without putting them on PATH.
var postgresFolders = []string{
	"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
	"/usr/pgsql-*/bin",                  // PGDG packages for Fedora and RHEL
	"/usr/libexec/postgresql*",          // Alpine
	"/opt/homebrew/opt/postgresql*/bin", // Homebrew on Apple silicon
	"/usr/local/opt/postgresql*/bin",    // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/usr/local/pgsql/bin", // built from source
}

// postgresInstall is one folder with server binaries.
type postgresInstall struct {
	binDir string
	major  int
}

// FindPostgres returns the folder of the first PostgreSQL server (initdb and postgres) of version 14 or newer, looking
// on PATH, where pg_config says, and in the usual install folders, the highest version first. The error is
// ErrPostgresNotFound.
func FindPostgres() (binDir string, err error) {
	install, err := findPostgres(0)
	return install.binDir, err
}

// findPostgres finds the binaries of one major version, or of any supported one if major is 0.
func findPostgres(major int) (postgresInstall, error) {
	fits := func(found postgresInstall) bool {
		return found.major >= oldestPostgres && (major == 0 || found.major == major)
	}
	chosen := filepath.SplitList(os.Getenv("PATH"))
	if out, err := probe("pg_config", "--bindir"); err == nil {
		chosen = append(chosen, strings.TrimSpace(out))
	}
	for _, dir := range chosen {
		if found := (postgresInstall{dir, postgresMajor(dir)}); fits(found) {
			return found, nil
		}
	}
	var newest postgresInstall
	for _, pattern := range postgresFolders {
		dirs, _ := filepath.Glob(pattern) // fails only on a malformed pattern
		for _, dir := range dirs {
			if found := (postgresInstall{dir, postgresMajor(dir)}); fits(found) && found.major > newest.major {
				newest = found
			}
		}
	}
	if newest.major == 0 {
		return newest, ErrPostgresNotFound
	}
	return newest, nil
}

var postgresReport = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// postgresMajor returns the major version of the server in dir, 0 if there is no complete one.
func postgresMajor(dir string) int {
	if !filepath.IsAbs(dir) || !executable(filepath.Join(dir, "initdb")) || !executable(filepath.Join(dir, "postgres")) {
		return 0
	}
	out, err := probe(filepath.Join(dir, "postgres"), "--version")
	if err != nil {
		return 0
	}
	match := postgresReport.FindStringSubmatch(out)
	if match == nil {
		return 0
	}
	major, _ := strconv.Atoi(match[1])
	return major
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func probe(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = cleanEnv()
	out, err := cmd.Output()
	return string(out), err
}
