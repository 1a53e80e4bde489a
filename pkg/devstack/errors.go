package devstack

import "errors"

var (
	// ErrPostgresNotFound says that no PostgreSQL server of a supported version is installed, and how to install it.
	ErrPostgresNotFound = errors.New("no PostgreSQL server binaries (initdb and postgres, version 14 or newer) found; " +
		"install them: Debian and Ubuntu: apt-get install postgresql; " +
		"Fedora and RHEL: dnf install postgresql-server; " +
		"Alpine: apk add postgresql; " +
		"macOS: brew install postgresql@16")

	// ErrRedisNotFound says that no Redis server is installed, and how to install it.
	ErrRedisNotFound = errors.New("no redis-server found; " +
		"install it: Debian and Ubuntu: apt-get install redis-server; " +
		"Fedora and RHEL: dnf install redis (or valkey); " +
		"Alpine: apk add redis; " +
		"macOS: brew install redis")

	// ErrInUse says that another process runs the server of the same directory.
	ErrInUse = errors.New("the directory is in use by another process")

	// ErrPortTaken says that the port asked for is taken by another process.
	ErrPortTaken = errors.New("the port is taken")

	// ErrCannotInstall says that the machine has no package manager that Install may use.
	ErrCannotInstall = errors.New("cannot install packages here")
)
