package devstack

import (
	"fmt"
	"io/fs"
	"path/filepath"
)

// Adopt makes dataDir a data directory for StartPostgres when somebody has put a copy of this server's cluster into it,
// as its subdirectory pgdata: a base backup. The copy knows this server's password. The account that runs servers has to
// be able to reach dataDir, and gets the files.
func (p *Postgres) Adopt(dataDir string) error {
	dataDir, err := filepath.Abs(dataDir)
	if err != nil {
		return fmt.Errorf("adopt cluster: %w", err)
	}
	copied := &cluster{dataDir: dataDir, state: clusterState{Location: dataDir, Password: p.cluster.state.Password}}
	major, err := clusterMajor(copied.pgdata())
	if err != nil {
		return err
	}
	if major == 0 {
		return fmt.Errorf("adopt cluster: there is none in %s", copied.pgdata())
	}
	err = filepath.WalkDir(copied.pgdata(), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return p.cluster.who.own(path)
	})
	if err != nil {
		return fmt.Errorf("adopt cluster: %w", err)
	}
	return copied.state.save(dataDir)
}
