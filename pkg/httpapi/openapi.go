package httpapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openapiYAML []byte

// OpenAPI returns the contract of the API, an OpenAPI 3.1 document in YAML.
func OpenAPI() []byte { return bytes.Clone(openapiYAML) }

// The document as it is served, prepared when it is asked for first.
var (
	documentYAML = sync.OnceValue(func() asset { return newAsset("application/yaml", openapiYAML) })
	documentJSON = sync.OnceValues(func() (asset, error) {
		var document any
		if err := yaml.Unmarshal(openapiYAML, &document); err != nil {
			return asset{}, fmt.Errorf("reading openapi.yaml: %w", err)
		}
		text, err := json.Marshal(document, json.Deterministic(true))
		if err != nil {
			return asset{}, fmt.Errorf("writing openapi.json: %w", err)
		}
		return newAsset("application/json", text), nil
	})
)

// showDocument answers GET /openapi.yaml.
func (a *API) showDocument(c *gin.Context) error { return respondAsset(c, documentYAML()) }

// showDocumentAsJSON answers GET /openapi.json.
func (a *API) showDocumentAsJSON(c *gin.Context) error {
	document, err := documentJSON()
	if err != nil {
		return err
	}
	return respondAsset(c, document)
}
