package contract

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// problemType is the media type of every error (RFC 9457 §3).
const problemType = "application/problem+json"

// Contract is a loaded document.
type Contract struct {
	// Document is the document with its references resolved. Its schemas are closed:
	// a field that they do not name is a violation.
	Document *openapi3.T

	paths   []path
	problem *openapi3.Schema
	codes   map[string]bool
}

// path is one path of the document.
type path struct {
	segments   []string
	parameters openapi3.Parameters
	operations map[string]*openapi3.Operation
}

// Load reads a document that has the schemas Problem and ErrorCode. It is not
// validated, which takes a second, and three with the race detector.
func Load(text []byte) (*Contract, error) {
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	problem, code := document.Components.Schemas["Problem"], document.Components.Schemas["ErrorCode"]
	if problem == nil || code == nil {
		return nil, errors.New("the OpenAPI document has no schema Problem or ErrorCode")
	}
	c := &Contract{Document: document, problem: problem.Value, codes: make(map[string]bool)}
	for _, value := range code.Value.Enum {
		c.codes[fmt.Sprint(value)] = true
	}
	for template, item := range document.Paths.Map() {
		c.paths = append(c.paths, path{
			segments: strings.Split(template, "/"), parameters: item.Parameters, operations: item.Operations(),
		})
	}
	seen := make(map[*openapi3.Schema]bool)
	for _, schema := range document.Components.Schemas {
		closeSchema(schema, seen)
	}
	return c, nil
}

// closeSchema makes an object of named fields have no others. The document itself
// leaves answers open, for a later release may add to them.
func closeSchema(ref *openapi3.SchemaRef, seen map[*openapi3.Schema]bool) {
	if ref == nil || ref.Value == nil || seen[ref.Value] {
		return
	}
	schema := ref.Value
	seen[schema] = true
	if len(schema.Properties) > 0 && schema.AdditionalProperties.Has == nil && schema.AdditionalProperties.Schema == nil {
		schema.AdditionalProperties.Has = new(bool)
	}
	for _, property := range schema.Properties {
		closeSchema(property, seen)
	}
	closeSchema(schema.Items, seen)
	closeSchema(schema.AdditionalProperties.Schema, seen)
	for _, variants := range [][]*openapi3.SchemaRef{schema.OneOf, schema.AnyOf, schema.AllOf} {
		for _, variant := range variants {
			closeSchema(variant, seen)
		}
	}
}

// operation is what the document says of one method of one path.
type operation struct {
	*openapi3.Operation
	parameters []*openapi3.Parameter
	path       map[string]string
}

// find returns what the document says of a request, nil when that is nothing. Of two
// paths that match, the one with fewer parameters counts.
func (c *Contract) find(method, target string) *operation {
	segments := strings.Split(target, "/")
	var found *operation
	for _, p := range c.paths {
		values, matches := p.match(segments)
		described := p.operations[method]
		if !matches || described == nil || found != nil && len(found.path) <= len(values) {
			continue
		}
		found = &operation{Operation: described, path: values}
		for _, list := range []openapi3.Parameters{p.parameters, described.Parameters} {
			for _, parameter := range list {
				found.parameters = append(found.parameters, parameter.Value)
			}
		}
	}
	return found
}

func (p path) match(segments []string) (values map[string]string, matches bool) {
	if len(segments) != len(p.segments) {
		return nil, false
	}
	values = make(map[string]string)
	for i, segment := range p.segments {
		name, isParameter := strings.CutPrefix(segment, "{")
		switch {
		case isParameter && segments[i] != "":
			values[strings.TrimSuffix(name, "}")] = segments[i]
		case segment != segments[i]:
			return nil, false
		}
	}
	return values, true
}

var quoted = regexp.MustCompile("`([a-z_]+)`")

// codesOf are the error codes that the description of a response names.
func (c *Contract) codesOf(response *openapi3.Response) map[string]bool {
	named := make(map[string]bool)
	if response.Description == nil {
		return named
	}
	for _, match := range quoted.FindAllStringSubmatch(*response.Description, -1) {
		if c.codes[match[1]] {
			named[match[1]] = true
		}
	}
	return named
}

// response returns what the document says of a status, nil when that is nothing.
func (o *operation) response(status int) *openapi3.Response {
	if ref := o.Responses.Status(status); ref != nil {
		return ref.Value
	}
	return nil
}

// plumbing are the headers of HTTP itself, which need no word for each answer.
var plumbing = map[string]bool{
	"Cache-Control": true, "Connection": true, "Content-Encoding": true, "Content-Length": true, "Content-Type": true,
	"Date": true, "Transfer-Encoding": true, "Vary": true, "X-Content-Type-Options": true,
}

// unknownHeader returns a header that the document does not name.
func unknownHeader(header http.Header, described openapi3.Headers) string {
	known := make(map[string]bool, len(described))
	for name := range described {
		known[http.CanonicalHeaderKey(name)] = true
	}
	for name := range header {
		if !known[name] && !plumbing[name] {
			return name
		}
	}
	return ""
}
