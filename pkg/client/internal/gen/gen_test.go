package main

import (
	"os"
	"testing"
)

// TestTheClientIsFresh: whoever changes the document generates the client again.
func TestTheClientIsFresh(t *testing.T) {
	t.Parallel()
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("pkg/client/api.gen.go is not what pkg/httpapi/openapi.yaml makes: run `make generate`")
	}
}
