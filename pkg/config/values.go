package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ErrNoEncryptionKeys is returned where secrets are kept and no key is set.
var ErrNoEncryptionKeys = errors.New(
	"security.encryption_keys (TXN_SECURITY_ENCRYPTION_KEYS) is required: base64 of 32 random bytes, e.g. `openssl rand -base64 32`")

// splitList is a decode hook that reads lists from comma-separated variables;
// an empty variable is an empty list.
func splitList(from, to reflect.Type, data any) (any, error) {
	if from.Kind() != reflect.String || to.Kind() != reflect.Slice {
		return data, nil
	}
	list := []string{}
	for item := range strings.SplitSeq(data.(string), ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list, nil
}

// Keys decodes the encryption keys. No error ever quotes a key.
func (s Security) Keys() ([][]byte, error) {
	keys := make([][]byte, 0, len(s.EncryptionKeys))
	for i, text := range s.EncryptionKeys {
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("security.encryption_keys: key %d is not base64 of 32 bytes", i+1)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Listen returns the URI for the LISTEN connection: ListenURL, or URL.
func (d Database) Listen() string {
	if d.ListenURL != "" {
		return d.ListenURL
	}
	return d.URL
}

// ProxyURL parses Proxy; nil means none. No error ever quotes it: it may hold a
// password.
func (w Webhooks) ProxyURL() (*url.URL, error) {
	if w.Proxy == "" {
		return nil, nil
	}
	address, err := url.Parse(w.Proxy)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Hostname() == "" {
		return nil, errors.New("webhooks.proxy must be an http or https URL with a host")
	}
	return address, nil
}

// TracesURL is where the collector takes traces, empty for none: the endpoint and
// `/v1/traces` (OTLP specification, "OTLP/HTTP Request"). No error ever quotes it.
func (o OTel) TracesURL() (string, error) {
	if o.Endpoint == "" {
		return "", nil
	}
	address, err := url.Parse(o.Endpoint)
	switch {
	case err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Hostname() == "":
		return "", errors.New("otel.endpoint must be an http or https URL with a host")
	case address.User != nil || address.RawQuery != "":
		return "", errors.New("otel.endpoint must be without credentials: give them by OTEL_EXPORTER_OTLP_HEADERS")
	}
	if path := strings.TrimSuffix(address.Path, "/"); strings.HasSuffix(path, tracesPath) {
		address.Path = path
		return address.String(), nil
	}
	return address.JoinPath(tracesPath).String(), nil
}

const tracesPath = "/v1/traces"

// Redacted returns a copy that is safe to print: no passwords, no keys.
func (c Config) Redacted() Config {
	c.Database.URL = redactURL(c.Database.URL)
	c.Database.ListenURL = redactURL(c.Database.ListenURL)
	c.Redis.URL = redactURL(c.Redis.URL)
	c.Webhooks.Proxy = redactURL(c.Webhooks.Proxy)
	c.OTel.Endpoint = redactURL(c.OTel.Endpoint)
	redacted := make([]string, len(c.Security.EncryptionKeys))
	for i := range redacted {
		redacted[i] = "redacted"
	}
	c.Security.EncryptionKeys = redacted
	return c
}

// String is the redacted configuration as YAML.
func (c Config) String() string {
	text, err := yaml.Marshal(asMap(reflect.ValueOf(c.Redacted())))
	if err != nil {
		return "configuration: " + err.Error()
	}
	return string(text)
}

func asMap(value reflect.Value) map[string]any {
	fields := make(map[string]any, value.NumField())
	for i := range value.NumField() {
		key := value.Type().Field(i).Tag.Get("mapstructure")
		if value.Field(i).Kind() == reflect.Struct {
			fields[key] = asMap(value.Field(i))
			continue
		}
		fields[key] = value.Field(i).Interface()
	}
	return fields
}

func redactURL(text string) string {
	if text == "" {
		return ""
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return "redacted"
	}
	query := parsed.Query()
	for key := range query {
		if strings.Contains(strings.ToLower(key), "password") {
			query.Set(key, "redacted")
		}
	}
	parsed.RawQuery = query.Encode()
	return parsed.Redacted()
}
