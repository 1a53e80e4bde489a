// Package pkg_test states which package may import which, with the reason.
package pkg_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/txn-service/txn/"

// banned lists imports that a folder must not have, outside tests.
var banned = []struct {
	// in is a folder and all below it; except lists folders that may.
	in, imports, why string
	except           []string
}{
	{".", "github.com/gin-gonic/gin", "HTTP is httpapi's business", []string{"pkg/httpapi"}},
	{".", "github.com/spf13/cobra", "only txnctl has commands", []string{"cmd/txnctl"}},
	{".", "github.com/spf13/viper", "settings are read in one place", []string{"pkg/config"}},
	{".", module + "pkg/dbtest", "test servers never get into a program", []string{"pkg/dbtest", "pkg/apitest"}},
	{".", module + "pkg/apitest", "test servers never get into a program", []string{"pkg/apitest"}},
	{".", module + "pkg/devstack", "private servers are for tests and txnctl dev", []string{"pkg/devstack", "pkg/dbtest", "pkg/apitest", "cmd/txnctl", "bench"}},
	{".", module + "pkg/telemetry/telemetrytest", "a collector for tests never gets into a program", []string{"pkg/telemetry/telemetrytest"}},
	{".", module + "pkg/disclosure", "the search for secrets never gets into a program", []string{"pkg/disclosure", "pkg/devstack/testrun", "pkg/dbtest", "pkg/apitest", "pkg/telemetry/telemetrytest"}},
	{".", "go.opentelemetry.io/otel/sdk", "spans are sampled and sent in one place", []string{"pkg/telemetry"}},
	{".", "go.opentelemetry.io/otel/exporters", "spans are sampled and sent in one place", []string{"pkg/telemetry"}},
	{".", "github.com/stretchr/testify", "assertions are for tests", []string{"pkg/dbtest", "pkg/apitest", "pkg/telemetry/telemetrytest"}},
	{"pkg", module + "cmd", "commands are leaves", nil},
	{"pkg/httpapi", module + "pkg/dispatch", "API and dispatcher are scaled apart", nil},
	{"pkg/dispatch", module + "pkg/httpapi", "API and dispatcher are scaled apart", nil},
	{"pkg/dispatch", module + "pkg/ledger", "sending moves no money", nil},
	{"pkg/ledger", module + "pkg/webhook", "the ledger writes events and knows no endpoints", nil},
	{"pkg/ledger", module + "pkg/apikey", "who may call is decided before", nil},
	{"pkg/ledger", module + "pkg/httpapi", "imports point downwards", nil},
	{"pkg/webhook", module + "pkg/ledger", "siblings do not know each other", nil},
	{"pkg/apikey", module + "pkg/ledger", "siblings do not know each other", nil},
	{"pkg/tenant", module + "pkg/ledger", "siblings do not know each other", nil},
	{"pkg/outbox", module + "pkg/webhook", "imports point downwards", nil},
	{"pkg/outbox", module + "pkg/ledger", "imports point downwards", nil},
	{"pkg/wire", module + "pkg/database", "shapes need no database", nil},
	{"pkg/models", module + "pkg/database", "tables as Go need no connection", nil},
	{"pkg/errs", module, "everybody imports errs", nil},
	{"pkg/client", module, "tenants' programs link it, and nothing of the service with it", nil},
}

func within(file, folder string) bool {
	return folder == "." || file == folder || strings.HasPrefix(file, folder+"/")
}

func TestImportsPointDownwards(t *testing.T) {
	t.Parallel()
	checked := 0
	for file, imports := range sources(t) {
		for _, path := range imports {
			for _, rule := range banned {
				applies := within(file, rule.in) && !slices.ContainsFunc(rule.except, func(folder string) bool { return within(file, folder) })
				if applies && strings.HasPrefix(path+"/", strings.TrimSuffix(rule.imports, "/")+"/") {
					t.Errorf("%s imports %s: %s", file, path, rule.why)
				}
			}
		}
		checked++
	}
	require.Greater(t, checked, 100)
}

// TestTheClientIsLight: what it imports, every tenant's program gets.
func TestTheClientIsLight(t *testing.T) {
	t.Parallel()
	allowed := []string{"github.com/standard-webhooks/standard-webhooks/libraries/go"}
	checked := 0
	for file, imports := range sources(t) {
		if filepath.Dir(file) != "pkg/client" {
			continue
		}
		for _, path := range imports {
			first, _, _ := strings.Cut(path, "/")
			require.True(t, !strings.Contains(first, ".") || slices.Contains(allowed, path), "%s imports %s", file, path)
		}
		checked++
	}
	require.Greater(t, checked, 10)
}

// sources returns the imports of every file that is no test.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	walkGo(t, func(path, relative string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			files[relative] = append(files[relative], imported)
		}
	})
	return files
}

func TestEveryPackageIsDocumentedOnce(t *testing.T) {
	t.Parallel()
	documented, packages := map[string]int{}, map[string]bool{}
	walkGo(t, func(path, relative string) {
		folder := filepath.Dir(relative)
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		packages[folder] = true
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
		require.NoError(t, err)
		if parsed.Doc != nil {
			documented[folder]++
		}
	})
	for folder := range packages {
		require.Equal(t, 1, documented[folder], "package docs of %s", folder)
	}
}

func walkGo(t *testing.T, visit func(path, relative string)) {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(relative string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && relative != "." || entry.Name() == "bin") {
			return fs.SkipDir
		}
		if strings.HasSuffix(relative, ".go") {
			visit(filepath.Join(root, relative), relative)
		}
		return nil
	}))
}
