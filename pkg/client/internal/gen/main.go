// Command gen writes the generated part of package client: the shapes of the API as
// Go types, and a function per operation that makes its path and query.
//
// It is oapi-codegen with its templates for clients replaced by routes.tmpl, and the
// document prepared in prepare.go. It is a module of its own so that whoever links
// the client does not have the generator among its requirements.
//
//	go generate ./pkg/client
package main

import (
	_ "embed"
	"fmt"
	"os"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/oapi-codegen/oapi-codegen/v2/pkg/codegen"
)

const (
	document = "../../../httpapi/openapi.yaml"
	output   = "../../api.gen.go"
)

var (
	//go:embed head.tmpl
	head string
	//go:embed params.tmpl
	params string
	//go:embed routes.tmpl
	routes string
)

// nothing replaces a template whose output is not wanted. A template without any action
// would not replace it, and one of a single line would be the name of a file.
const nothing = "{{print}}\n"

func main() {
	code, err := generate()
	if err == nil {
		err = os.WriteFile(output, []byte(code), 0o644) //nolint:gosec // source code, which everybody may read
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate returns what api.gen.go has to be.
func generate() (string, error) {
	text, err := os.ReadFile(document)
	if err != nil {
		return "", err
	}
	spec, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return "", err
	}
	order, err := readOrder(text)
	if err != nil {
		return "", err
	}
	if err := prepare(spec, order); err != nil {
		return "", err
	}
	return codegen.Generate(spec, codegen.Configuration{
		PackageName:   "client",
		Generate:      codegen.GenerateOptions{Models: true, Client: true},
		Compatibility: codegen.CompatibilityOptions{AlwaysPrefixEnumValues: true},
		OutputOptions: codegen.OutputOptions{
			NameNormalizer:            string(codegen.NameNormalizerFunctionToCamelCaseWithInitialisms),
			SkipPrune:                 true, // prepare has dropped what is not wanted
			SkipEnumValidate:          true, // a newer server may know more values
			PreferSkipOptionalPointer: true,
			UserTemplates: map[string]string{
				"imports.tmpl": head, "param-types.tmpl": params, "client.tmpl": routes,
				"client-with-responses.tmpl": nothing, "request-bodies.tmpl": nothing,
			},
		},
	})
}
