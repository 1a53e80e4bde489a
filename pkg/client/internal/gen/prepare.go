package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// prepare makes of the document what the generator turns into Go that reads well.
// What stays are the shapes and, of the operations, their paths and the parameters of
// lists; the methods by hand do the rest.
func prepare(spec *openapi3.T, order map[string][]string) error {
	spec.Webhooks = nil
	for path, item := range spec.Paths.Map() {
		if !strings.HasPrefix(path, "/v1/") {
			spec.Paths.Delete(path) // for probes and readers
			continue
		}
		prepareParameters(item.Parameters)
		for _, operation := range item.Operations() {
			prepareOperation(operation)
		}
	}
	spec.Components.Responses, spec.Components.RequestBodies, spec.Components.Headers, spec.Components.Parameters = nil, nil, nil, nil
	if err := prepareSchemas(spec.Components.Schemas); err != nil {
		return err
	}
	for name, ref := range spec.Components.Schemas {
		for i, property := range order[name] {
			if ref.Value.Properties[property] != nil {
				extend(ref.Value.Properties[property], "x-order", float64(i))
			}
		}
	}
	return nil
}

// prepareOperation leaves the path, and the parameters of a list.
func prepareOperation(o *openapi3.Operation) {
	o.RequestBody, o.Responses = nil, openapi3.NewResponses()
	o.Parameters = slices.DeleteFunc(o.Parameters, func(p *openapi3.ParameterRef) bool {
		return p.Value.In == openapi3.ParameterInHeader || p.Value.Name == "dry_run" || p.Value.Name == "at"
	})
	prepareParameters(o.Parameters)
}

func prepareParameters(parameters openapi3.Parameters) {
	for _, parameter := range parameters {
		parameter.Ref = ""
		schema := *parameter.Value.Schema
		inline(&schema)
		parameter.Value.Schema = &schema
	}
}

// byHand are the schemas that package client writes itself: pages are generic, events
// have one type each for their data, batches and keys are arguments of methods, and a
// problem is an error.
var byHand = []string{
	"AccountList", "APIKeyList", "DeliveryList", "EntryList", "EventList", "HoldList", "ReplayList", "TransactionList",
	"WebhookList", "Event", "AccountEvent", "TransactionEvent", "HoldEvent", "EndpointEvent", "NewBatch", "Batch",
	"IndependentBatch", "KeyOnly", "Problem", "Health", "Component", "Status",
}

// pointers are the fields of requests whose zero value means something else than
// leaving them out.
var pointers = map[string][]string{
	"Conditions":     {"source_version", "source_min_balance_after"},
	"WebhookChange":  {"ordered"},
	"NewReversal":    {"amount"}, // an amount that came out as zero must not mean all
	"NewCapture":     {"amount"},
	"SecretRotation": {"grace_period_seconds"},
	"APIKeyRotation": {"grace_period_seconds"},
}

// nullables are the fields of requests where null means something else than leaving
// them out, with the type of their values.
var nullables = map[string]map[string]string{
	"NewAccount":    {"overdraft_limit": "int64"},
	"AccountChange": {"reference": "string", "overdraft_limit": "int64", "metadata": "Metadata"},
	"WebhookChange": {"description": "string", "rate_limit": "int", "headers": "map[string]string", "metadata": "Metadata"},
}

func prepareSchemas(schemas openapi3.Schemas) error {
	if err := checkNames(schemas); err != nil {
		return err
	}
	for _, name := range byHand {
		delete(schemas, name)
	}
	// One type for events, whether they happen or are subscribed to.
	schemas["EventType"] = schemas["EventFilter"]
	delete(schemas, "EventFilter")
	nameValues(schemas["EventType"].Value)
	schemas["Code"] = schemas["ErrorCode"]
	delete(schemas, "ErrorCode")
	delete(schemas["ReplayPreview"].Value.Properties, "dry_run") // always true

	for name, ref := range schemas {
		for property, field := range ref.Value.Properties {
			if prepared := prepareField(name, property, ref.Value, *field); prepared != nil {
				ref.Value.Properties[property] = prepared
			} else {
				delete(ref.Value.Properties, property)
			}
		}
	}
	maps.DeleteFunc(schemas, func(_ string, ref *openapi3.SchemaRef) bool { return scalar(ref.Value) })
	delete(schemas, "NewMetadata")
	return nil
}

// checkNames refuses a document that has no longer what the lists above name.
func checkNames(schemas openapi3.Schemas) error {
	for _, name := range byHand {
		if schemas[name] == nil {
			return fmt.Errorf("the document has no schema %s", name)
		}
	}
	fields := maps.Clone(pointers)
	for name, types := range nullables {
		fields[name] = append(slices.Clone(fields[name]), slices.Collect(maps.Keys(types))...)
	}
	for name, properties := range fields {
		for _, property := range properties {
			if schemas[name] == nil || schemas[name].Value.Properties[property] == nil {
				return fmt.Errorf("the document has no field %s.%s", name, property)
			}
		}
	}
	return nil
}

// prepareField returns the field as the generator should see it, nil for none.
func prepareField(name, property string, of *openapi3.Schema, field openapi3.SchemaRef) *openapi3.SchemaRef {
	request := of.AdditionalProperties.Has != nil && !*of.AdditionalProperties.Has
	optional := !slices.Contains(of.Required, property)
	if property == "idempotency_key" && request && name != "NewTransaction" {
		return nil // an option of the call; an item of a batch may have its own
	}
	retype(&field, property, optional)
	switch {
	case nullables[name][property] != "":
		setType(&field, "Nullable["+nullables[name][property]+"]")
	case slices.Contains(pointers[name], property):
		withoutNull(&field)
		extend(&field, "x-go-type-skip-optional-pointer", false)
	case request:
		withoutNull(&field)
	case field.Value.Type.Includes(openapi3.TypeNull) && field.Value.Extensions["x-go-type"] == nil:
		extend(&field, "x-go-type-skip-optional-pointer", false)
	}
	if optional {
		// An empty list is not the same as none; in a request it is a mistake that the API
		// should get to see.
		extend(&field, "x-omitempty", false)
		extend(&field, "x-omitzero", true)
	}
	return &field
}

// retype gives the field the Go type that package client has for it.
func retype(field *openapi3.SchemaRef, property string, optional bool) {
	referred := strings.TrimPrefix(field.Ref, "#/components/schemas/")
	inline(field)
	switch {
	case referred == "KeyField":
		field.Value.Description = "The idempotency key; an item of a batch that has none gets one made of the batch's."
	case property == "event_type":
		*field = openapi3.SchemaRef{Ref: "#/components/schemas/EventType", Value: field.Value}
	case property == "event_types":
		setType(field, "[]EventType")
	case referred == "NewMetadata":
		setType(field, "Metadata")
	case referred == "Problem":
		setType(field, "*Error")
	case referred != "" && referred != "Metadata" && optional && field.Value.Type.Includes(openapi3.TypeObject):
		setType(field, "*"+referred)
	}
}

// scalar reports whether a schema is a plain value, which becomes a plain Go type
// where it is used.
func scalar(s *openapi3.Schema) bool {
	return len(s.Enum) == 0 && !s.Type.Includes(openapi3.TypeObject) && !s.Type.Includes(openapi3.TypeArray)
}

// inline puts a plain value in the place of a reference to it.
func inline(ref *openapi3.SchemaRef) {
	if ref.Ref != "" && scalar(ref.Value) {
		plain := *ref.Value
		if plain.Format == "date-time" || strings.HasPrefix(plain.Description, "Id of ") {
			plain.Description = "" // it says no more than the name of the field
		}
		*ref = openapi3.SchemaRef{Value: &plain}
	}
}

// own gives the field a schema that no other shares.
func own(ref *openapi3.SchemaRef) {
	copied := *ref.Value
	copied.Extensions = maps.Clone(copied.Extensions)
	ref.Value = &copied
}

func setType(ref *openapi3.SchemaRef, goType string) {
	*ref = openapi3.SchemaRef{Value: &openapi3.Schema{
		Type: &openapi3.Types{openapi3.TypeString}, Description: ref.Value.Description,
		Extensions: map[string]any{"x-go-type": goType, "x-go-type-skip-optional-pointer": true},
	}}
}

func withoutNull(ref *openapi3.SchemaRef) {
	if ref.Ref != "" || ref.Value.Type == nil || !ref.Value.Type.Includes(openapi3.TypeNull) {
		return
	}
	own(ref)
	types := slices.DeleteFunc(slices.Clone(*ref.Value.Type), func(name string) bool { return name == openapi3.TypeNull })
	ref.Value.Type = &types
}

func extend(ref *openapi3.SchemaRef, name string, value any) {
	if ref.Ref != "" {
		if ref.Extensions == nil {
			ref.Extensions = map[string]any{}
		}
		ref.Extensions[name] = value
		return
	}
	own(ref)
	if ref.Value.Extensions == nil {
		ref.Value.Extensions = map[string]any{}
	}
	ref.Value.Extensions[name] = value
}

// nameValues gives the wildcards of subscriptions a name.
func nameValues(s *openapi3.Schema) {
	names := make([]any, len(s.Enum))
	for i, value := range s.Enum {
		switch noun, wildcard := strings.CutSuffix(value.(string), ".*"); {
		case value == "*":
			names[i] = "All"
		case wildcard:
			names[i] = noun + "_all"
		default:
			names[i] = strings.ReplaceAll(noun, ".", "_")
		}
		names[i] = goName(names[i].(string))
	}
	s.Extensions = map[string]any{"x-enum-varnames": names}
}

// goName is snake_case as a Go name.
func goName(name string) string {
	var camel strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		camel.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return camel.String()
}
