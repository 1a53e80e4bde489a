package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/txn-service/txn/pkg/wire"
)

// outputFormat is how results are printed; the zero value is a table.
type outputFormat string

const (
	formatTable outputFormat = "table"
	formatJSON  outputFormat = "json"
	formatYAML  outputFormat = "yaml"
)

// String is the value of the flag (pflag.Value).
func (f *outputFormat) String() string {
	if *f == "" {
		return string(formatTable)
	}
	return string(*f)
}

// Set reads the flag (pflag.Value).
func (f *outputFormat) Set(text string) error {
	known := []outputFormat{formatTable, formatJSON, formatYAML}
	if !slices.Contains(known, outputFormat(text)) {
		return fmt.Errorf("%q is none of table, json, yaml", text)
	}
	*f = outputFormat(text)
	return nil
}

// Type names the flag's type in help texts (pflag.Value).
func (f *outputFormat) Type() string { return "format" }

// view is how a kind of result is shown: as a shape in JSON and YAML, as columns
// in a table of several, and as lines of the same names when there is one.
type view[T any] struct {
	shape   func(T) any
	columns []column[T]
}

type column[T any] struct {
	title string
	cell  func(T) string
	// detail columns appear only where one result is shown.
	detail bool
	// wrap has text that is not cut on a narrow terminal: it goes on below.
	wrap bool
}

// page is a part of a list.
type page[T any] struct {
	items []T
	more  bool
	// cursor continues behind an item.
	cursor func(T) string
}

func printOne[T any](s *session, v view[T], item T) error {
	if s.format != "" && s.format != formatTable {
		return s.printShape(v.shape(item))
	}
	rows := make([][]string, len(v.columns))
	for i, c := range v.columns {
		rows[i] = []string{c.title, c.cell(item)}
	}
	return s.printTable(grid{rows: rows, wrap: []bool{false, true}})
}

func printPage[T any](s *session, v view[T], p page[T]) error {
	list := wire.List[any]{Data: make([]any, len(p.items)), HasMore: p.more}
	if p.more {
		next := p.cursor(p.items[len(p.items)-1])
		list.NextCursor = &next
	}
	if s.format != "" && s.format != formatTable {
		for i, item := range p.items {
			list.Data[i] = v.shape(item)
		}
		return s.printShape(list)
	}
	if err := s.printTable(v.grid(p.items)); err != nil {
		return err
	}
	if p.more {
		s.note("There is more: continue with --cursor %s", *list.NextCursor)
	}
	return nil
}

func (v view[T]) grid(items []T) grid {
	g := grid{rows: make([][]string, len(items))}
	for _, c := range v.columns {
		if c.detail {
			continue
		}
		g.titles, g.wrap = append(g.titles, c.title), append(g.wrap, c.wrap)
		for i, item := range items {
			g.rows[i] = append(g.rows[i], c.cell(item))
		}
	}
	return g
}

// printShape writes a shape as the API would write it, for people and programs.
func (s *session) printShape(shape any) error {
	text, err := wire.Marshal(shape)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	if s.format == formatYAML {
		return s.printYAML(text)
	}
	var indented strings.Builder
	if err := indentJSON(&indented, text); err != nil {
		return err
	}
	_, err = fmt.Fprint(s.out, indented.String())
	return err
}

func indentJSON(out *strings.Builder, text []byte) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(json.RawMessage(text)); err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	return nil
}

// printYAML turns JSON, which is YAML already, into block style: both formats
// have the same fields in the same order.
func (s *session) printYAML(text []byte) error {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	blockStyle(&node)
	encoder := yaml.NewEncoder(s.out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return encoder.Close()
}

func blockStyle(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		blockStyle(child)
	}
}
