package main

import (
	"errors"

	"go.yaml.in/yaml/v3"
)

// readOrder returns the names of every schema's properties in the order of the
// document, which reads better than the alphabet.
func readOrder(document []byte) (map[string][]string, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return nil, err
	}
	schemas := child(child(root.Content[0], "components"), "schemas")
	if schemas == nil {
		return nil, errors.New("the document has no schemas")
	}
	order := map[string][]string{}
	for i := 0; i < len(schemas.Content); i += 2 {
		properties := child(schemas.Content[i+1], "properties")
		if properties == nil {
			continue
		}
		for j := 0; j < len(properties.Content); j += 2 {
			order[schemas.Content[i].Value] = append(order[schemas.Content[i].Value], properties.Content[j].Value)
		}
	}
	return order, nil
}

func child(of *yaml.Node, name string) *yaml.Node {
	if of == nil {
		return nil
	}
	for i := 0; i+1 < len(of.Content); i += 2 {
		if of.Content[i].Value == name {
			return of.Content[i+1]
		}
	}
	return nil
}
