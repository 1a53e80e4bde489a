package chart_test

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sigsyaml "sigs.k8s.io/yaml"
)

// compose reads compose.yaml as `docker compose config` does.
func compose(t *testing.T, environment types.Mapping) *types.Project {
	t.Helper()
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: "..", ConfigFiles: []types.ConfigFile{{Filename: "../compose.yaml"}}, Environment: environment,
	})
	require.NoError(t, err)
	return project
}

// TestComposeIsHardened: no container has more rights than it needs, and only
// this machine reaches one.
func TestComposeIsHardened(t *testing.T) {
	t.Parallel()
	project := compose(t, nil)
	require.ElementsMatch(t, []string{"postgres", "redis", "migrate", "api", "dispatcher"}, project.ServiceNames())
	for name, service := range project.Services {
		assert.True(t, service.ReadOnly, name)
		assert.Equal(t, []string{"ALL"}, service.CapDrop, name)
		assert.Empty(t, service.CapAdd, name)
		assert.Equal(t, []string{"no-new-privileges:true"}, service.SecurityOpt, name)
		assert.False(t, service.Privileged, name)
		assert.NotContains(t, []string{"", "root", "0"}, service.User, name)
		for _, port := range service.Ports {
			assert.Equal(t, "127.0.0.1", port.HostIP, name)
		}
	}
	require.True(t, project.Networks["data"].Internal)
	for _, name := range []string{"postgres", "redis"} {
		require.Len(t, project.Services[name].Networks, 1, name)
		require.Contains(t, project.Services[name].Networks, "data", name)
	}
}

// TestComposeStartsInOrder: the migration has ended before anything serves.
func TestComposeStartsInOrder(t *testing.T) {
	t.Parallel()
	project := compose(t, nil)
	require.Equal(t, types.ServiceConditionHealthy, project.Services["migrate"].DependsOn["postgres"].Condition)
	for _, name := range []string{"api", "dispatcher"} {
		service := project.Services[name]
		require.Equal(t, types.ServiceConditionCompletedSuccessfully, service.DependsOn["migrate"].Condition, name)
		require.Equal(t, types.ServiceConditionHealthy, service.DependsOn["redis"].Condition, name)
		require.Equal(t, types.HealthCheckTest{"CMD", name, "--healthcheck", "/readyz"}, service.HealthCheck.Test)
		require.Greater(t, time.Duration(*service.StopGracePeriod), ownGrace(t), "longer than the service's own")
	}
	require.True(t, project.Services["migrate"].HealthCheck.Disable)
	require.Empty(t, project.Services["migrate"].Restart, "it runs once")
}

// ownGrace is how long a service takes to stop at most, by its defaults.
func ownGrace(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile("../configs/api.yaml")
	require.NoError(t, err)
	var settings struct {
		API struct {
			Delay string `json:"shutdown_delay"`
			Grace string `json:"shutdown_grace"`
		}
	}
	require.NoError(t, sigsyaml.Unmarshal(text, &settings))
	delay, err := time.ParseDuration(settings.API.Delay)
	require.NoError(t, err)
	grace, err := time.ParseDuration(settings.API.Grace)
	require.NoError(t, err)
	return delay + grace
}

// TestComposeTakesItsSecretsFromTheEnvironment, so that the known ones are for
// trying only.
func TestComposeTakesItsSecretsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"api", "dispatcher"} {
		environment := compose(t, nil).Services[name].Environment
		require.Equal(t, "postgres://txn:txn@postgres:5432/txn?sslmode=disable", *environment["TXN_DATABASE_URL"])
		require.NotEmpty(t, *environment["TXN_SECURITY_ENCRYPTION_KEYS"])
		environment = compose(t, types.Mapping{
			"POSTGRES_PASSWORD": "secret", "TXN_SECURITY_ENCRYPTION_KEYS": "mine", "TXN_RATE_LIMIT_PER_IP": "",
		}).Services[name].Environment
		require.Equal(t, "postgres://txn:secret@postgres:5432/txn?sslmode=disable", *environment["TXN_DATABASE_URL"])
		require.Equal(t, "mine", *environment["TXN_SECURITY_ENCRYPTION_KEYS"])
	}
	limit := compose(t, types.Mapping{"TXN_RATE_LIMIT_PER_IP": ""}).Services["api"].Environment["TXN_RATE_LIMIT_PER_IP"]
	require.Empty(t, *limit, "empty turns the limit off, and is not the default")
}

// TestImageIsBuiltAsTheMakefileBuilds: the same flags and the same stamp, from a
// toolchain that go.mod accepts.
func TestImageIsBuiltAsTheMakefileBuilds(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(text)
	}
	dockerfile, makefile := read("../Dockerfile"), read("../Makefile")
	for _, name := range []string{"version", "commit", "date"} {
		require.Contains(t, makefile, "-X $(BUILD)."+name+"=")
		require.Contains(t, dockerfile, "-X github.com/txn-service/txn/pkg/build."+name+"=$")
	}
	for _, text := range []string{dockerfile, makefile} {
		require.Regexp(t, `CGO_ENABLED=0 (\S+ )*(go|\$\(GO\)) build -trimpath `, text)
	}
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read("../go.mod"))
	require.Contains(t, dockerfile, " golang:"+wanted[1]+".")
	require.Regexp(t, `(?m)^USER [1-9][0-9]*:[1-9][0-9]*$`, dockerfile)
}
