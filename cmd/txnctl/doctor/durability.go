package doctor

import "context"

// checkFsync finds a server that may lose or corrupt everything in a power cut.
func checkFsync(ctx context.Context, p *patient) (verdict, error) {
	value, err := p.setting(ctx, "fsync")
	if err != nil {
		return verdict{}, err
	}
	if value != "on" {
		return fail("off: a power cut or a crash of the machine corrupts the database", "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()"), nil
	}
	return ok("on"), nil
}

// checkFullPageWrites finds a server that cannot repair pages half written.
func checkFullPageWrites(ctx context.Context, p *patient) (verdict, error) {
	value, err := p.setting(ctx, "full_page_writes")
	if err != nil {
		return verdict{}, err
	}
	if value != "on" {
		return fail("off: a power cut may leave pages half written, which nothing repairs (unless the file system never tears an 8 kB page)",
			"ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf()"), nil
	}
	return ok("on"), nil
}

// checkSynchronousCommit finds a default by which commits may be lost. The ledger
// sets its own; keys, endpoints and the audit log go by the default.
func checkSynchronousCommit(ctx context.Context, p *patient) (verdict, error) {
	value, err := p.setting(ctx, "synchronous_commit")
	if err != nil {
		return verdict{}, err
	}
	if value == "off" {
		return warn("off: movements commit synchronously all the same, but new keys, endpoints and audit entries may be lost in a crash",
			"ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf(); look at ALTER ROLE and ALTER DATABASE too"), nil
	}
	return ok("%s", value), nil
}

// checkDataChecksums finds a cluster that does not notice what a disk does to it.
func checkDataChecksums(ctx context.Context, p *patient) (verdict, error) {
	value, err := p.setting(ctx, "data_checksums")
	if err != nil {
		return verdict{}, err
	}
	if value != "on" {
		return warn("off: a page that the disk has damaged is read as if it were sound", "stop the server and run pg_checksums --enable"), nil
	}
	return ok("on"), nil
}

// tellArchiving says how far back the database can be restored. Backups are made
// in many ways, so it is no finding.
func tellArchiving(ctx context.Context, p *patient) (verdict, error) {
	level, err := p.setting(ctx, "wal_level")
	if err != nil {
		return verdict{}, err
	}
	mode, err := p.setting(ctx, "archive_mode")
	if err != nil {
		return verdict{}, err
	}
	if mode == "off" {
		return ok("wal_level %s, archive_mode off: restoring goes back to a base backup, unless something else keeps the WAL", level), nil
	}
	return ok("wal_level %s, archive_mode %s: restoring goes to any moment since a base backup", level, mode), nil
}
