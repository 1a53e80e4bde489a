package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
)

// script is what the examples of the document show: which requests, with which
// answers, and which of them have been executed. Ids and times differ from run to
// run, so a story remembers which real id stands for which id of the document.
type script struct {
	document *openapi3.T
	shown    map[string]any
	// wanted holds every place where the document shows an example, until it is
	// executed.
	wanted map[place]bool
}

// place is where an example is shown: the request of an operation when there is no
// status. An answer that many operations share has no operation.
type place struct{ operation, status, example string }

func newScript(t *testing.T) *script {
	t.Helper()
	s := &script{document: apitest.Contract(t).Document, shown: map[string]any{}, wanted: map[place]bool{}}
	for name, example := range s.document.Components.Examples {
		text, err := json.Marshal(example.Value.Value)
		require.NoError(t, err)
		var value any
		require.NoError(t, json.Unmarshal(text, &value))
		s.shown[name] = value
		s.wanted[place{example: name}] = true
	}
	for _, item := range s.document.Paths.Map() {
		for _, o := range item.Operations() {
			if o.RequestBody != nil {
				s.want(t, o.OperationID, "", o.RequestBody.Value.Content)
			}
			for status, response := range o.Responses.Map() {
				if response.Ref == "" {
					s.want(t, o.OperationID, status, response.Value.Content)
				}
			}
		}
	}
	return s
}

func (s *script) want(t *testing.T, operation, status string, content openapi3.Content) {
	t.Helper()
	for _, media := range content {
		require.Nil(t, media.Example, "%s: name the example in components", operation)
		for name, example := range media.Examples {
			shared, found := strings.CutPrefix(example.Ref, "#/components/examples/")
			require.True(t, found, "%s: name the example %s in components", operation, name)
			s.wanted[place{operation, status, shared}] = true
		}
	}
}

func (s *script) executed(operation, status, example string) {
	delete(s.wanted, place{operation, status, example})
	delete(s.wanted, place{example: example})
}

// operation finds an operation by its id.
func (s *script) operation(t *testing.T, id string) (method, path string, o *openapi3.Operation) {
	t.Helper()
	for path, item := range s.document.Paths.Map() {
		for method, o := range item.Operations() {
			if o.OperationID == id {
				return method, path, o
			}
		}
	}
	require.FailNow(t, "no such operation", id)
	return "", "", nil
}

// story is a part of the script that is played on one server.
type story struct {
	*script
	api *apitest.API
	// real maps ids of the document to those of the server, both ways bijectively.
	real map[string]string
	// aliases are other texts that stand for something else.
	aliases map[string]string
}

func (s *script) tell(api *apitest.API) *story {
	return &story{script: s, api: api, real: map[string]string{}, aliases: map[string]string{}}
}

// aside returns a copy that learns nothing for the story itself, for an answer that
// shows an id which is not to be kept.
func (s *story) aside() *story {
	c := *s
	c.real = maps.Clone(s.real)
	return &c
}

// turn is one request of a story. path has ids of the document. body is the name of
// an example after an @, or a body.
type turn struct {
	operation, path, body string
	status                int
	answer                string
	options               []apitest.Option
}

// play sends a request and compares the answer with the example.
func (s *story) play(t *testing.T, one turn) *apitest.Response {
	t.Helper()
	res, err := s.try(t, one)
	require.NoError(t, err, "%s: %s", one.operation, res.Body)
	return res
}

// await plays a turn until the answer is the example's.
func (s *story) await(t *testing.T, one turn) {
	t.Helper()
	var err error
	if !assertEventually(func() bool { _, err = s.try(t, one); return err == nil }) {
		require.NoError(t, err, one.operation)
	}
}

func assertEventually(condition func() bool) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return false
}

func (s *story) try(t *testing.T, one turn) (*apitest.Response, error) {
	t.Helper()
	method, path, o := s.operation(t, one.operation)
	sent := one.path
	if sent == "" {
		sent = path
	}
	var body any
	options := slices.Clone(one.options)
	if name, isExample := strings.CutPrefix(one.body, "@"); isExample {
		text, err := json.Marshal(s.shown[name])
		require.NoError(t, err)
		body = s.translate(string(text))
		s.executed(one.operation, "", name)
	} else if one.body != "" {
		body = s.translate(one.body)
	}
	if object, ok := s.shown[one.answer].(map[string]any); ok {
		if key, ok := object["idempotency_key"].(string); ok && method == "POST" {
			options = append([]apitest.Option{apitest.IdempotencyKey(key)}, options...)
		}
	}
	res := s.api.Do(t, method, s.translate(sent), body, options...)
	if res.Status != one.status {
		return res, fmt.Errorf("the status is %d, not %d", res.Status, one.status)
	}
	status := fmt.Sprint(one.status)
	require.NotNil(t, o.Responses.Value(status), "%s: %s", one.operation, status)
	require.True(t, shows(o.Responses.Value(status).Value, one.answer), "%s does not show %s for %s", one.operation, one.answer, status)
	if err := s.compare(one.answer, res.Body); err != nil {
		return res, err
	}
	s.executed(one.operation, status, one.answer)
	return res, nil
}

func shows(response *openapi3.Response, name string) bool {
	for _, media := range response.Content {
		for _, example := range media.Examples {
			if example.Ref == "#/components/examples/"+name {
				return true
			}
		}
	}
	return false
}

// is lets an id of the document stand for a real one.
func (s *story) is(shown, really string) { s.real[shown] = really }

// tokens are what differs from run to run: ids, times, secrets, request ids.
var tokens = regexp.MustCompile(strings.Join([]string{
	`\b(?:biz|acct|txn|hold|wh|evt|dlv|rpl|key)_[0-7][0-9a-hjkmnp-tv-z]{25}\b`,
	`\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z`,
	`\bwhsec_[A-Za-z0-9+/]{43}=`, `\btxn_[0-9A-Za-z]{38}\b`, `\breq_[0-9a-f]{30}\b`,
}, "|"))

// isID reports whether a token names an object, whose real id has to be the same
// wherever it stands.
func isID(token string) bool {
	_, suffix, found := strings.Cut(token, "_")
	return found && len(suffix) == 26
}

// translate puts real ids in the place of the document's.
func (s *story) translate(text string) string {
	for shown, stands := range s.aliases {
		text = strings.ReplaceAll(text, shown, stands)
	}
	return tokens.ReplaceAllStringFunc(text, func(token string) string {
		if really, known := s.real[token]; known {
			return really
		}
		return token
	})
}

// compare says in what an answer differs from an example.
func (s *story) compare(example string, body []byte) error {
	shown, found := s.shown[example]
	if !found {
		return fmt.Errorf("there is no example %s", example)
	}
	if text, isText := shown.(string); isText {
		return s.text(text, string(body), example)
	}
	var really any
	if err := json.Unmarshal(body, &really); err != nil {
		return err
	}
	return s.same(shown, really, example)
}

// free are fields whose value nothing can be said of but that it is there.
var free = []string{"next_cursor", "latency_ms", "prefix"}

func (s *story) same(shown, really any, at string) error {
	switch shown := shown.(type) {
	case map[string]any:
		object, ok := really.(map[string]any)
		if !ok || !slices.Equal(slices.Sorted(maps.Keys(shown)), slices.Sorted(maps.Keys(object))) {
			return fmt.Errorf("%s: the document shows %v, the server answers %v", at, shown, really)
		}
		for _, name := range slices.Sorted(maps.Keys(shown)) {
			if slices.Contains(free, name) && (shown[name] == nil) == (object[name] == nil) {
				continue
			}
			if err := s.same(shown[name], object[name], at+"."+name); err != nil {
				return err
			}
		}
		return nil
	case []any:
		list, ok := really.([]any)
		if !ok || len(shown) != len(list) {
			return fmt.Errorf("%s: the document shows %v, the server answers %v", at, shown, really)
		}
		for i := range shown {
			if err := s.same(shown[i], list[i], fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	case string:
		text, ok := really.(string)
		if !ok {
			return fmt.Errorf("%s: the document shows %q, the server answers %v", at, shown, really)
		}
		return s.text(shown, text, at)
	}
	if shown != really {
		return fmt.Errorf("%s: the document shows %v, the server answers %v", at, shown, really)
	}
	return nil
}

// text compares texts but for what differs from run to run.
func (s *story) text(shown, really, at string) error {
	for alias, stands := range s.aliases {
		really = strings.ReplaceAll(really, stands, alias)
	}
	mine, theirs := tokens.FindAllString(shown, -1), tokens.FindAllString(really, -1)
	if len(mine) != len(theirs) || tokens.ReplaceAllString(shown, "…") != tokens.ReplaceAllString(really, "…") {
		return fmt.Errorf("%s: the document shows %q, the server answers %q", at, shown, really)
	}
	for i := range mine {
		if err := s.bind(mine[i], theirs[i]); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	return nil
}

func (s *story) bind(shown, really string) error {
	if kind := strings.IndexByte(shown, '_') + 1; len(shown) != len(really) || shown[:kind] != really[:kind] {
		return fmt.Errorf("the document shows %s, the server answers %s", shown, really)
	}
	if !isID(shown) {
		return nil
	}
	if known, bound := s.real[shown]; bound {
		if known != really {
			return fmt.Errorf("%s stands for %s elsewhere, and for %s here", shown, known, really)
		}
		return nil
	}
	for other, taken := range s.real {
		if taken == really {
			return fmt.Errorf("%s and %s both stand for %s", other, shown, really)
		}
	}
	s.real[shown] = really
	return nil
}
