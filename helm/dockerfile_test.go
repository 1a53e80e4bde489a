package chart_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dockerfile reads the Dockerfile as BuildKit does, with the part of its checks
// (`docker build --check`) that needs no registry.
func dockerfile(t *testing.T) []instructions.Stage {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	require.NoError(t, err)
	read, err := parser.Parse(bytes.NewReader(text))
	require.NoError(t, err)
	require.Empty(t, read.Warnings)
	checks := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) { t.Errorf("%s: %s", rule, message) }})
	stages, _, err := instructions.Parse(read.AST, checks)
	require.NoError(t, err)
	return stages
}

// of are the instructions of a kind in a stage.
func of[T instructions.Command](stage instructions.Stage) (found []T) {
	for _, command := range stage.Commands {
		if typed, ok := command.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// TestImageIsMinimal: the image is the binaries on a base without a shell, for a user
// without rights, and stops and answers for itself.
func TestImageIsMinimal(t *testing.T) {
	t.Parallel()
	stages := dockerfile(t)
	require.Len(t, stages, 2)
	for _, stage := range stages {
		_, tag, ok := strings.Cut(stage.BaseName, ":")
		assert.True(t, ok && tag != "latest", "%s says which it is", stage.BaseName)
		assert.Empty(t, of[*instructions.AddCommand](stage), "COPY does what it says")
	}
	image := stages[1]
	require.True(t, strings.HasPrefix(image.BaseName, "gcr.io/distroless/static-"), image.BaseName)
	require.Empty(t, of[*instructions.RunCommand](image), "there is nothing to run with")
	require.Empty(t, of[*instructions.VolumeCommand](image), "nothing is written")
	copies := of[*instructions.CopyCommand](image)
	require.Len(t, copies, 1)
	require.Equal(t, []string{"/out/api", "/out/dispatcher", "/out/txnctl"}, copies[0].SourcePaths)
	users := of[*instructions.UserCommand](image)
	require.Len(t, users, 1)
	require.Regexp(t, `^[1-9][0-9]*:[1-9][0-9]*$`, users[0].User)
	commands := of[*instructions.CmdCommand](image)
	require.Len(t, commands, 1)
	require.False(t, commands[0].PrependShell)
	checks := of[*instructions.HealthCheckCommand](image)
	require.Len(t, checks, 1)
	require.Equal(t, []string{"CMD", "api", "--healthcheck", "/livez"}, checks[0].Health.Test)
	signals := of[*instructions.StopSignalCommand](image)
	require.Len(t, signals, 1)
	require.Equal(t, "SIGTERM", signals[0].Signal)
}
