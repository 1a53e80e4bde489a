package client

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// route is where a call goes; api.gen.go makes them.
type route struct {
	method, path string
	query        url.Values
}

// String names the call in errors.
func (r route) String() string { return r.method + " " + r.path }

// dryRun asks to judge and change nothing.
func (r route) dryRun() route { return r.with("dry_run", "true") }

func (r route) with(parameter, value string) route {
	query := url.Values{}
	for name, values := range r.query {
		query[name] = values
	}
	query.Set(parameter, value)
	r.query = query
	return r
}

// keyed reports whether the call needs an idempotency key.
func (r route) keyed() bool { return r.method == http.MethodPost }

// setValue adds a parameter unless it is zero.
func setValue[T comparable](query url.Values, name string, value T) {
	var zero T
	if value == zero {
		return
	}
	if moment, ok := any(value).(time.Time); ok {
		query.Set(name, moment.Format(time.RFC3339Nano))
		return
	}
	query.Set(name, fmt.Sprint(value))
}

// setPairs adds `name[key]=value` parameters.
func setPairs(query url.Values, name string, pairs map[string]string) {
	for key, value := range pairs {
		query.Set(name+"["+key+"]", value)
	}
}
