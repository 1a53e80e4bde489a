package devstack

import (
	"os/exec"
	"path/filepath"
)

// redisFolders are where packages put the server without putting it on PATH.
var redisFolders = []string{
	"/usr/bin", "/usr/local/bin", "/usr/sbin",
	"/opt/homebrew/bin", "/opt/homebrew/opt/redis/bin", "/usr/local/opt/redis/bin", "/home/linuxbrew/.linuxbrew/bin",
}

// redisNames are the names of servers that speak Redis' protocol and read its configuration; some distributions
// package Valkey alone.
var redisNames = []string{"redis-server", "valkey-server"}

// FindRedis returns the path of a Redis (or Valkey) server, looking on PATH and in the usual install folders. The error
// is ErrRedisNotFound.
func FindRedis() (path string, err error) {
	for _, name := range redisNames {
		if found, err := exec.LookPath(name); err == nil {
			return filepath.Abs(found)
		}
		for _, dir := range redisFolders {
			if found := filepath.Join(dir, name); executable(found) {
				return found, nil
			}
		}
	}
	return "", ErrRedisNotFound
}
