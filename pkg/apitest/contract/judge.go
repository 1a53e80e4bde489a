package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// judgeHead looks at status and headers of an answer, and at the request when it was
// accepted. What the document does not describe is a route that a test mounted, or
// none: it may only refuse.
func (c *Contract) judgeHead(o *operation, r *http.Request, answer *http.Response) error {
	if o == nil {
		return nil
	}
	response := o.response(answer.StatusCode)
	if response == nil {
		return fmt.Errorf("the document names no status %d", answer.StatusCode)
	}
	for name, ref := range response.Headers {
		if err := judgeHeader(name, ref.Value, answer.Header); err != nil {
			return err
		}
	}
	if name := unknownHeader(answer.Header, response.Headers); name != "" {
		return fmt.Errorf("the document names no header %s for %d", name, answer.StatusCode)
	}
	if answer.StatusCode < http.StatusMultipleChoices {
		if err := o.judgeRequest(r, answer.StatusCode); err != nil {
			return fmt.Errorf("was accepted, but %w", err)
		}
	}
	return nil
}

func judgeHeader(name string, described *openapi3.Header, header http.Header) error {
	value := header.Get(name)
	if value == "" {
		if described.Required {
			return fmt.Errorf("the header %s is missing", name)
		}
		return nil
	}
	if err := judgeText(described.Schema.Value, value); err != nil {
		return fmt.Errorf("the header %s is %q: %w", name, value, err)
	}
	return nil
}

// judgeText judges what is text on the wire: a parameter or a header.
func judgeText(schema *openapi3.Schema, text string) error {
	var value any = text
	var err error
	switch {
	case schema.Type.Includes(openapi3.TypeInteger):
		var number int64
		number, err = strconv.ParseInt(text, 10, 64)
		value = float64(number)
	case schema.Type.Includes(openapi3.TypeBoolean):
		value, err = strconv.ParseBool(text)
	}
	if err != nil {
		return err
	}
	return schema.VisitJSON(value)
}

// judgeRequest says what the document has against a request that was answered with
// the status.
func (o *operation) judgeRequest(r *http.Request, status int) error {
	query := r.URL.Query()
	for _, parameter := range o.parameters {
		if err := o.judgeParameter(parameter, r, query); err != nil {
			return fmt.Errorf("the parameter %s: %w", parameter.Name, err)
		}
	}
	if len(query) > 0 {
		return fmt.Errorf("the document names no parameter %v", slices.Sorted(maps.Keys(query)))
	}
	if o.RequestBody == nil || o.hasResults(status) {
		return nil
	}
	body, err := sent(r)
	if err != nil {
		return err
	}
	return o.judgeSent(r, body)
}

// judgeParameter takes what it has judged out of the query.
func (o *operation) judgeParameter(p *openapi3.Parameter, r *http.Request, query map[string][]string) error {
	var value string
	var given bool
	switch {
	case p.In == openapi3.ParameterInPath:
		value, given = o.path[p.Name]
	case p.In == openapi3.ParameterInHeader:
		value = r.Header.Get(p.Name)
		given = value != ""
	case p.Style == openapi3.SerializationDeepObject:
		return judgePairs(p, query)
	default:
		var values []string
		if values, given = query[p.Name]; given {
			value = values[0]
			delete(query, p.Name)
		}
	}
	switch {
	case given:
		return judgeText(p.Schema.Value, value)
	case p.Required:
		return errors.New("is missing")
	}
	return nil
}

// judgePairs judges `name[key]=value` parameters.
func judgePairs(p *openapi3.Parameter, query map[string][]string) error {
	pairs := map[string]any{}
	for name, values := range query {
		key, found := strings.CutPrefix(name, p.Name+"[")
		if key, closed := strings.CutSuffix(key, "]"); found && closed {
			pairs[key] = values[0]
			delete(query, name)
		}
	}
	return p.Schema.Value.VisitJSON(pairs)
}

// sent is the body of a request, nil when it can be read only once.
func sent(r *http.Request) ([]byte, error) {
	if r.GetBody == nil {
		if r.Body == nil || r.Body == http.NoBody {
			return []byte{}, nil
		}
		return nil, nil
	}
	again, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(again)
}

// judgeSent judges the body of a request.
func (o *operation) judgeSent(r *http.Request, body []byte) error {
	if body == nil {
		return nil
	}
	if len(body) == 0 {
		if o.RequestBody.Value.Required {
			return errors.New("the body is missing")
		}
		return nil
	}
	return judgeBody(o.RequestBody.Value.Content, r.Header.Get("Content-Type"), body)
}

// judgeReceived judges the body of an answer.
func (c *Contract) judgeReceived(o *operation, answer *http.Response, body []byte) error {
	refused := answer.StatusCode >= http.StatusBadRequest
	if o == nil {
		if !refused {
			return nil
		}
		problem := openapi3.Content{problemType: openapi3.NewMediaType().WithSchema(c.problem)}
		return judgeBody(problem, answer.Header.Get("Content-Type"), body)
	}
	response := o.response(answer.StatusCode)
	if response == nil {
		return nil // judgeHead has said so
	}
	if answer.Request.Method == http.MethodHead || len(response.Content) == 0 {
		if len(body) > 0 {
			return fmt.Errorf("the document knows no body for %d", answer.StatusCode)
		}
		return nil
	}
	if err := judgeBody(response.Content, answer.Header.Get("Content-Type"), body); err != nil {
		return err
	}
	if o.hasResults(answer.StatusCode) {
		return o.judgeItems(answer.Request, body)
	}
	if !refused {
		return nil
	}
	var problem struct{ Code string }
	if err := json.Unmarshal(body, &problem); err != nil {
		return err
	}
	if problem.Code != "" && !c.codesOf(response)[problem.Code] {
		return fmt.Errorf("the document names no code %s for %d", problem.Code, answer.StatusCode)
	}
	return nil
}

// judgeBody judges a body by the schema of its media type. Text that is no JSON has
// only its media type judged.
func judgeBody(content openapi3.Content, contentType string, body []byte) error {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("the content type %q: %w", contentType, err)
	}
	described := content[mediaType]
	if described == nil {
		return fmt.Errorf("the document names no content type %s", mediaType)
	}
	if mediaType != "application/json" && mediaType != problemType {
		return nil
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("the body is no JSON: %w", err)
	}
	if err := described.Schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		return fmt.Errorf("the body is not as the document says: %w", err)
	}
	return nil
}
