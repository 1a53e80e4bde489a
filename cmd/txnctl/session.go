package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"

	"github.com/mattn/go-isatty"
	"golang.org/x/term"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/database"
)

// maxConns is what a command needs of the database: it does one thing at a time.
const maxConns = 4

// session is one run of txnctl: its streams and its global flags.
type session struct {
	in       io.Reader
	out, err io.Writer
	// terminal says whether somebody sits at in, whom questions can be put to.
	terminal bool
	// width is how many characters a line of out has, 0 where it is no terminal.
	width int

	configFile   string
	format       outputFormat
	yes          bool
	operatorName string
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && (isatty.IsTerminal(file.Fd()) || isatty.IsCygwinTerminal(file.Fd()))
}

// terminalWidth is 0 for what is no terminal or does not know its width.
func terminalWidth(out io.Writer) int {
	if !isTerminal(out) {
		return 0
	}
	width, _, err := term.GetSize(int(out.(*os.File).Fd()))
	if err != nil {
		return 0
	}
	return width
}

// config reads the settings; a mistake in them is wrong usage.
func (s *session) config() (config.Config, error) {
	settings, err := config.Load(s.configFile)
	if err != nil {
		return config.Config{}, usagef("%v", err)
	}
	if settings.Database.URL == "" {
		return config.Config{}, usagef("no database: set TXN_DATABASE_URL, or database.url in a file named by --config")
	}
	return settings, nil
}

// withDB runs do on a database whose schema this release can work with.
func (s *session) withDB(ctx context.Context, do func(db *database.DB) error) error {
	settings, err := s.config()
	if err != nil {
		return err
	}
	db, err := database.Open(ctx, database.Options{
		URL: settings.Database.URL, MaxOpenConns: maxConns, ApplicationName: "txnctl",
	})
	if err != nil {
		return usagef("%v", err)
	}
	defer db.Close()
	if err := db.CheckSchema(ctx); err != nil {
		return err
	}
	return do(db)
}

// change runs do in one transaction and prints what it made of it.
func change[T any](ctx context.Context, s *session, v view[T], do func(tx *gorm.DB, actor audit.Actor) (T, error)) error {
	return s.withDB(ctx, func(db *database.DB) error {
		var result T
		err := db.InTx(ctx, func(tx *gorm.DB) (err error) {
			result, err = do(tx, s.operator())
			return err
		})
		if err != nil {
			return err
		}
		return printOne(s, v, result)
	})
}

// operator is who the audit log names.
func (s *session) operator() audit.Actor {
	if s.operatorName != "" {
		return audit.Operator(oneLine(strings.ToValidUTF8(s.operatorName, "?")))
	}
	return userOfMachine()
}

// userOfMachine is the user of the operating system, who is the same for everybody
// in a container.
func userOfMachine() audit.Actor {
	current, err := user.Current()
	if err != nil {
		return audit.Operator(fmt.Sprintf("uid %d", os.Getuid()))
	}
	return audit.Operator(current.Username)
}

var errCancelled = errors.New("cancelled")

// confirm asks before something that cannot be taken back. Without anyone to
// ask, only --yes lets it pass.
func (s *session) confirm(format string, args ...any) error {
	if s.yes {
		return nil
	}
	question := fmt.Sprintf(format, args...)
	if !s.terminal {
		return usagef("%s There is no terminal to ask on: pass --yes to go ahead.", question)
	}
	fmt.Fprintf(s.err, "%s [y/N] ", question)
	answer, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	default:
		return errCancelled
	}
}

// note tells the operator something that is not the result.
func (s *session) note(format string, args ...any) {
	fmt.Fprintf(s.err, format+"\n", args...)
}
