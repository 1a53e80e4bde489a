package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/txn-service/txn/pkg/config"
)

// ofChart are the settings that helm/txn gives its pods in another way than by
// its value `config`.
var ofChart = []string{
	// From Secrets.
	"database.url", "database.listen_url", "redis.url", "security.encryption_keys", "webhooks.proxy",
	// Fixed by the chart's Services, or computed with the pods' own grace period.
	"api.listen", "api.admin_listen", "api.shutdown_delay", "api.shutdown_grace", "dispatcher.admin_listen", "dispatcher.shutdown_grace",
}

// TestChartHoldsTheDefaults: the chart's `config` is a file that the services
// read, has every setting, and changes none but the connections of a process,
// which several processes have to share.
func TestChartHoldsTheDefaults(t *testing.T) {
	text, err := os.ReadFile("../../helm/txn/values.yaml")
	require.NoError(t, err)
	var values struct{ Config map[string]map[string]any }
	require.NoError(t, yaml.Unmarshal(text, &values))
	content, err := yaml.Marshal(values.Config)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "txn.yaml")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	loaded, err := config.Load(file)
	require.NoError(t, err)
	want := config.Default()
	want.Database.MaxOpenConns = 10
	require.Equal(t, want, loaded)

	for _, key := range settings() {
		if slices.Contains(ofChart, key[0]+"."+key[1]) {
			continue
		}
		require.Contains(t, values.Config[key[0]], key[1], "add %s.%s to helm/txn/values.yaml and values.schema.json, then in helm: go test . -update", key[0], key[1])
	}
}

// settings are all keys, as group and name.
func settings() (keys [][2]string) {
	for group := range reflect.TypeFor[config.Config]().Fields() {
		for field := range group.Type.Fields() {
			keys = append(keys, [2]string{group.Tag.Get("mapstructure"), field.Tag.Get("mapstructure")})
		}
	}
	return keys
}
