package httpapi

import "net/http"

// Short names for the list.
const (
	get    = http.MethodGet
	head   = http.MethodHead
	post   = http.MethodPost
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// routes lists every route of the API: method, path, required scope, handler and
// what sets it apart. What is not here is answered 404, another method 405.
func (a *API) routes() []route {
	return []route{
		{get, "/health", public, a.showHealth, 0},
		{head, "/health", public, a.showHealth, 0},
		{get, "/livez", public, a.showLiveness, 0},
		{head, "/livez", public, a.showLiveness, 0},
		{get, "/readyz", public, a.showReadiness, 0},
		{head, "/readyz", public, a.showReadiness, 0},

		{get, "/v1/business", anyScope, a.showBusiness, 0},
	}
}
