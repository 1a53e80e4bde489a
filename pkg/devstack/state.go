package devstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const stateFile = "postgres.json"

// clusterState is what a data directory remembers about its cluster, in a file that only its owner can read.
type clusterState struct {
	Location string `json:"location"` // the directory that holds pgdata: the data directory or a reachable one
	Password string `json:"password"`
	Port     int    `json:"port"` // of the last start, so that connection strings stay valid
}

// loadState returns the zero state if there is none.
func loadState(dataDir string) (clusterState, error) {
	var state clusterState
	raw, err := os.ReadFile(filepath.Join(dataDir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &state)
	}
	if err != nil {
		return state, fmt.Errorf("read cluster state: %w", err)
	}
	return state, nil
}

// save replaces the state file in one step: half a state would lock the owner out of the data.
func (s clusterState) save(dataDir string) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("save cluster state: %w", err)
	}
	path := filepath.Join(dataDir, stateFile)
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("save cluster state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("save cluster state: %w", err)
	}
	return nil
}
