package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/txn-service/txn/pkg/devstack"
	"github.com/txn-service/txn/pkg/disclosure"
)

// transcript keeps what the command prints until the end, when all the secrets are known that may be in it.
type transcript struct {
	secrets string // the file that tests record theirs in
	output  *os.File
	remove  func() error
}

func newTranscript() (*transcript, error) {
	dir, remove, err := devstack.TempDir("txn-testrun-")
	if err != nil {
		return nil, err
	}
	t := &transcript{secrets: filepath.Join(dir, "secrets"), remove: remove}
	err = os.WriteFile(t.secrets, nil, 0o600)
	if err == nil {
		t.output, err = os.OpenFile(filepath.Join(dir, "output"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	return t, nil
}

// tee writes to a stream and to the transcript, where appends of several streams do not overwrite each other.
func (t *transcript) tee(stream io.Writer) io.Writer { return io.MultiWriter(stream, t.output) }

// check returns an error that says where secrets were printed.
func (t *transcript) check() error {
	text, err := os.ReadFile(t.output.Name())
	if err != nil {
		return err
	}
	found, err := disclosure.InFile(t.secrets, string(text))
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("secrets were printed:\n\t%s", strings.Join(found, "\n\t"))
	}
	return err
}

func (t *transcript) close() error { return errors.Join(t.output.Close(), t.remove()) }
