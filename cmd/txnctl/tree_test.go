package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// everyCommand visits all commands of txnctl, by their path without its name.
func everyCommand(visit func(path string, cmd *cobra.Command)) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		visit(strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "txnctl"), " "), cmd)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(&session{}))
}

func isLeaf(cmd *cobra.Command) bool { return cmd.Example != "" || !cmd.HasSubCommands() }

func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	everyCommand(func(path string, cmd *cobra.Command) {
		require.NotEmpty(t, cmd.Short, path)
		require.NotEmpty(t, cmd.Long, path)
		if !cmd.HasSubCommands() {
			require.NotEmpty(t, cmd.Example, path)
		}
		cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) { require.NotEmpty(t, flag.Usage, "%s --%s", path, flag.Name) })
	})
}

// TestEveryExampleParses: the command of an example is the one that it stands at,
// and its flags and arguments exist.
func TestEveryExampleParses(t *testing.T) {
	t.Parallel()
	everyCommand(func(path string, documented *cobra.Command) {
		if documented.Example == "" {
			return
		}
		for _, words := range exampleCommands(t, documented.Example) {
			root := newRoot(&session{})
			cmd, rest, err := root.Find(words)
			require.NoError(t, err, path)
			require.Equal(t, documented.CommandPath(), cmd.CommandPath(), "%v", words)
			require.NoError(t, cmd.ParseFlags(rest), "%v", words)
			require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), "%v", words)
		}
	})
}

// exampleCommands returns the words after txnctl of every line, as a shell would
// split them, without variables before it and what its output goes to.
func exampleCommands(t *testing.T, example string) (commands [][]string) {
	t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(example, "\\\n", " ")) {
		words := shellWords(strings.TrimSpace(line))
		for len(words) > 0 && strings.HasPrefix(words[0], "TXN_") {
			words = words[1:]
		}
		require.NotEmpty(t, words, line)
		require.Equal(t, "txnctl", words[0], line)
		if end := slices.IndexFunc(words, func(word string) bool { return strings.ContainsAny(word[:min(1, len(word))], ">|") }); end >= 0 {
			words = words[:end]
		}
		commands = append(commands, words[1:])
	}
	require.NotEmpty(t, commands)
	return commands
}

func shellWords(line string) (words []string) {
	word, quoted, begun := "", false, false
	for _, r := range line + " " {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				words = append(words, word)
			}
			word, begun = "", false
		default:
			word, begun = word+string(r), true
		}
	}
	return words
}

// Every command is one or the other: a new one has to be put here.
var destructive = map[string]bool{
	"business suspend": true, "key revoke": true, "migrate down": true, "webhook disable": true,

	"audit list": false, "business create": false, "business list": false, "business resume": false, "business show": false,
	"business update": false, "completion bash": false, "completion fish": false, "completion powershell": false,
	"completion zsh": false, "doctor": false, "key issue": false, "key list": false,
	"ledger balance": false, "ledger statement": false, "ledger verify": false, "migrate status": false, "migrate up": false,
	"version": false, "webhook enable": false, "webhook failed": false, "webhook list": false, "webhook show": false,
	"webhook replay list": false, "webhook replay show": false, "webhook replay watch": false,
	"smoke": false, // moves the money back
	// The old key goes on working unless --grace 0 says otherwise.
	"key rotate": false,
	// Deliveries of their own kind are sent once more: what --dry-run is for.
	"webhook replay": false,
	// It can be begun anew.
	"webhook replay cancel": false,
	// Asks when the API is on another machine.
	"bench": false,
	// --reset drops data that dev itself has made, for nobody else.
	"dev": false,
	// Nothing is lost; it asks when there is something to encrypt.
	"security rotate-encryption-key": false,
}

func TestEveryCommandIsClassified(t *testing.T) {
	t.Parallel()
	everyCommand(func(path string, cmd *cobra.Command) {
		if isLeaf(cmd) && path != "" {
			require.Contains(t, destructive, path)
		}
	})
}

// TestDestructiveCommandsRefuseWithoutATerminal also shows that they do not wait
// for an answer that cannot come: whatever is on their input stays there.
func TestDestructiveCommandsRefuseWithoutATerminal(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	business := c.business(t)
	arguments := map[string]string{
		"business suspend": business,
		"key revoke":       c.text(t, c.ok(t, "key", "issue", "--business", business, "--name", "ci"), "id"),
		"migrate down":     "",
		"webhook disable":  c.endpoint(t, business, 0),
	}
	for path, asks := range destructive {
		if !asks {
			continue
		}
		line := strings.Fields(path + " " + arguments[path])
		r := c.converse(t, "y\n", false, line...)
		require.Equal(t, exitUsage, r.code, "%s: %s", path, r.err)
		require.Contains(t, r.err, "--yes", path)
		require.Empty(t, r.out, path)
		require.Equal(t, exitFailed, c.converse(t, "n\n", true, line...).code, path)
	}
	for path, asks := range destructive { // the schema goes last
		if asks && path != "migrate down" {
			r := c.run(t, strings.Fields(path+" "+arguments[path]+" --yes")...)
			require.Equal(t, exitDone, r.code, "%s: %s", path, r.err)
		}
	}
	require.Equal(t, exitDone, c.run(t, "migrate", "down", "--yes").code)
}

// TestFlagValuesComplete asks as a shell does.
func TestFlagValuesComplete(t *testing.T) {
	t.Parallel()
	c := &cli{config: configText(t, "")}
	for path, flags := range flagValues {
		for flag, values := range flags {
			r := c.run(t, slices.Concat([]string{"__complete"}, strings.Fields(path)[1:], []string{"--" + flag, ""})...)
			require.Equal(t, append(slices.Clone(values), ":4"), strings.Fields(r.out), "%s --%s", path, flag)
		}
	}
	// Whatever takes one of a few words says so in its help, and completes.
	everyCommand(func(path string, cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
			if kind, _ := pflag.UnquoteUsage(flag); strings.Contains(kind, "|") {
				require.Contains(t, flagValues[cmd.CommandPath()], flag.Name, path)
			}
		})
	})
	const noFiles = ":4"
	require.Contains(t, c.run(t, "__complete", "business", "show", "").out, noFiles, "an id is no file")
	require.Contains(t, c.run(t, "__complete", "audit", "list", "--since", "").out, noFiles)
	require.Contains(t, c.run(t, "__complete", "version", "--config", "").out, ":0", "a file is one")
	require.Contains(t, c.run(t, "__complete", "dev", "--data-dir", "").out, ":16", "a directory is one")
	require.Contains(t, c.run(t, "__complete", "").out, "doctor\tExamine")
}
