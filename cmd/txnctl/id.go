package main

import (
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// parseID reads an id from the command line. What is no id names nothing, which
// is the API's answer to it too.
func parseID[P models.Prefix](noun, text string) (models.ID[P], error) {
	id, err := models.ParseID[P](text)
	if err != nil {
		return id, errs.Wrap(err, errs.NotFound, "no %s %s (that is no id of one)", noun, text)
	}
	return id, nil
}

// cursorID reads a cursor that is an id; empty is the zero id.
func cursorID[P models.Prefix](text string) (models.ID[P], error) {
	if text == "" {
		return models.ID[P]{}, nil
	}
	id, err := models.ParseID[P](text)
	if err != nil {
		return id, usagef("--cursor must be the next_cursor of the same list")
	}
	return id, nil
}
