package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// module is a module as the go command describes it.
type module struct {
	Path, Version, Dir string
	Main, Indirect     bool
}

// linked returns the modules of the packages that the programs are made of, for
// Linux, which is what they are released for.
func linked(ctx context.Context, root string) ([]module, error) {
	var packages []struct{ Module *module }
	err := objects(ctx, root, &packages, "list", "-deps", "-json=Module", "./cmd/...")
	byPath := make(map[string]module)
	for _, p := range packages {
		if p.Module != nil && !p.Module.Main {
			byPath[p.Module.Path] = *p.Module
		}
	}
	return sorted(byPath), err
}

// required returns the modules that go.mod names without calling them indirect.
func required(ctx context.Context, root string) ([]module, error) {
	var files []struct{ Require []module }
	err := objects(ctx, root, &files, "mod", "edit", "-json")
	byPath := make(map[string]module)
	for _, file := range files {
		for _, m := range file.Require {
			if !m.Indirect {
				byPath[m.Path] = m
			}
		}
	}
	return sorted(byPath), err
}

func sorted(byPath map[string]module) []module {
	modules := make([]module, 0, len(byPath))
	for _, m := range byPath {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return modules
}

// objects runs a go command and decodes the objects that it prints.
func objects[T any](ctx context.Context, root string, into *[]T, args ...string) error {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = root
	command.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &problems)
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var object T
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		*into = append(*into, object)
	}
}
