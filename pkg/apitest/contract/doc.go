// Package contract holds what a server answers to an OpenAPI document: a transport
// that fails the test in which an answer, or a request that was accepted, is not as
// the document says. It is for tests alone.
//
//	document, err := contract.Load(httpapi.OpenAPI())
//	client := &http.Client{Transport: document.Transport(t, http.DefaultTransport)}
package contract
