// Package config loads the settings of the binaries: defaults, then a YAML
// file, then TXN_* environment variables (the key `a.b_c` is TXN_A_B_C).
package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// Config is every setting. Each binary uses its part.
type Config struct {
	Database   Database   `mapstructure:"database"`
	Redis      Redis      `mapstructure:"redis"`
	API        API        `mapstructure:"api"`
	Dispatcher Dispatcher `mapstructure:"dispatcher"`
	RateLimit  RateLimit  `mapstructure:"rate_limit"`
	Security   Security   `mapstructure:"security"`
	Webhooks   Webhooks   `mapstructure:"webhooks"`
	Ledger     Ledger     `mapstructure:"ledger"`
	Log        Log        `mapstructure:"log"`
	OTel       OTel       `mapstructure:"otel"`
}

// Database is where PostgreSQL is.
type Database struct {
	// URL is a PostgreSQL connection URI. Required.
	URL string `mapstructure:"url"`
	// ListenURL is used for LISTEN instead of URL, for a database behind a
	// transaction pooler. Defaults to URL.
	ListenURL string `mapstructure:"listen_url"`
	// MaxOpenConns caps the connections of one process. Defaults to 20.
	MaxOpenConns int `mapstructure:"max_open_conns"`
}

// Redis is where Redis is.
type Redis struct {
	// URL is a Redis URI; empty means that there is none: limits are counted in
	// memory, per process.
	URL string `mapstructure:"url"`
}

// API is the HTTP server of cmd/api.
type API struct {
	// Listen is the address of the public API. Defaults to :8080.
	Listen string `mapstructure:"listen"`
	// AdminListen is the address of /metrics. Defaults to :9090; empty turns it off.
	AdminListen string `mapstructure:"admin_listen"`
	// Pprof serves /debug/pprof there. Defaults to false.
	Pprof bool `mapstructure:"pprof"`
	// TrustedProxies lists the addresses or networks (CIDR) whose
	// X-Forwarded-For is believed. Defaults to none.
	TrustedProxies []string `mapstructure:"trusted_proxies"`
	// ShutdownDelay is how long a stopping server still takes requests, with /readyz
	// saying no and every answer ending its connection: until whoever sends them has
	// found another server. Defaults to 2s.
	ShutdownDelay time.Duration `mapstructure:"shutdown_delay"`
	// ShutdownGrace is how long it then finishes requests. Defaults to 20s.
	ShutdownGrace time.Duration `mapstructure:"shutdown_grace"`
}

// Dispatcher is cmd/dispatcher.
type Dispatcher struct {
	// AdminListen is the address of health and /metrics. Defaults to :9091;
	// empty turns it off.
	AdminListen string `mapstructure:"admin_listen"`
	// Pprof serves /debug/pprof there. Defaults to false.
	Pprof bool `mapstructure:"pprof"`
	// Slots caps the requests in flight of one process. Defaults to 512.
	Slots int `mapstructure:"slots"`
	// ShutdownGrace is how long a stopping dispatcher finishes what is in
	// flight. Defaults to 20s.
	ShutdownGrace time.Duration `mapstructure:"shutdown_grace"`
}

// RateLimit holds limits in the notation `<count>-<S|M|H|D>`; empty or 0 is off.
type RateLimit struct {
	// PerIP limits each client address on all of /v1. Defaults to 20-M.
	PerIP string `mapstructure:"per_ip"`
	// PerKey limits each API key. Defaults to off.
	PerKey string `mapstructure:"per_key"`
}

// Security holds key material.
type Security struct {
	// EncryptionKeys are base64 of 32 bytes each; the first encrypts, all
	// decrypt. Required where webhooks are kept or sent.
	EncryptionKeys []string `mapstructure:"encryption_keys"`
}

// Webhooks is what api and dispatcher share about deliveries.
type Webhooks struct {
	// AllowInsecure permits http and private addresses: development and tests only.
	AllowInsecure bool `mapstructure:"allow_insecure"`
	// RetrySchedule is the waits after the 1st, 2nd, … failed attempt: N waits
	// make N + 1 attempts.
	RetrySchedule []time.Duration `mapstructure:"retry_schedule"`
	// Timeout bounds one attempt, the answer's body included. Defaults to 15s.
	Timeout time.Duration `mapstructure:"timeout"`
	// Proxy is the HTTP proxy that deliveries go through, http or https with or
	// without credentials; empty means none, whatever HTTP_PROXY says. Addresses
	// are still resolved and vetted here: the proxy is asked for an address, never
	// for a name.
	Proxy string `mapstructure:"proxy"`
	// Retention is how long events, ended deliveries and their attempts are kept,
	// failed deliveries that could still be replayed included; 0 means for ever.
	// Defaults to 720h.
	Retention time.Duration `mapstructure:"retention"`
	// MaxPerBusiness caps the endpoints of a business. Defaults to 50.
	MaxPerBusiness int `mapstructure:"max_per_business"`
}

// Ledger tunes the group-commit engine.
type Ledger struct {
	// Committers is how many batches one process commits at once. Defaults to 2.
	Committers int `mapstructure:"committers"`
	// MaxBatch caps the items of one commit. Defaults to 512.
	MaxBatch int `mapstructure:"max_batch"`
	// Queue caps the items that wait. Defaults to 4096.
	Queue int `mapstructure:"queue"`
}

// Log is what goes to standard output.
type Log struct {
	// Level is debug, info, warn or error. Defaults to info.
	Level string `mapstructure:"level"`
	// Format is json or text. Defaults to json.
	Format string `mapstructure:"format"`
}

// OTel is where traces go.
type OTel struct {
	// Endpoint is the base URL of an OTLP/HTTP collector; empty means no traces.
	// Headers that it wants come from OTEL_EXPORTER_OTLP_HEADERS.
	Endpoint string `mapstructure:"endpoint"`
	// SampleRatio is how many requests are traced, from 0 to 1, of those whose caller
	// has not decided it by a traceparent header. Defaults to 1.
	SampleRatio float64 `mapstructure:"sample_ratio"`
}

// Default returns the settings before file and environment.
func Default() Config {
	return Config{
		Database: Database{MaxOpenConns: 20},
		API: API{
			Listen: ":8080", AdminListen: ":9090", TrustedProxies: []string{},
			ShutdownDelay: 2 * time.Second, ShutdownGrace: 20 * time.Second,
		},
		Dispatcher: Dispatcher{AdminListen: ":9091", Slots: 512, ShutdownGrace: 20 * time.Second},
		RateLimit:  RateLimit{PerIP: "20-M"},
		Security:   Security{EncryptionKeys: []string{}},
		Webhooks: Webhooks{
			RetrySchedule: []time.Duration{
				5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
				10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
			},
			Timeout:        15 * time.Second,
			Retention:      30 * 24 * time.Hour,
			MaxPerBusiness: 50,
		},
		Ledger: Ledger{Committers: 2, MaxBatch: 512, Queue: 4096},
		Log:    Log{Level: "info", Format: "json"},
		OTel:   OTel{SampleRatio: 1},
	}
}

// Load reads the settings; file may be empty. An unknown key in the file, a
// value of the wrong type and a variable that cannot be parsed are errors that
// name the key.
func Load(file string) (Config, error) {
	v := viper.NewWithOptions(viper.ExperimentalBindStruct())
	v.SetEnvPrefix("TXN")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AllowEmptyEnv(true)
	v.AutomaticEnv()
	var defaults map[string]any
	if err := mapstructure.Decode(Default(), &defaults); err != nil {
		return Config{}, fmt.Errorf("reading the defaults: %w", err)
	}
	setDefaults(v, "", defaults)
	if file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml") // whatever the file is called
		if err := v.ReadInConfig(); err != nil {
			return Config{}, fmt.Errorf("reading %s: %w", file, err)
		}
	}
	var config Config
	hooks := mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), splitList)
	if err := v.UnmarshalExact(&config, viper.DecodeHook(hooks)); err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return config, nil
}

func setDefaults(v *viper.Viper, prefix string, values map[string]any) {
	for key, value := range values {
		if nested, ok := value.(map[string]any); ok {
			setDefaults(v, prefix+key+".", nested)
			continue
		}
		v.SetDefault(prefix+key, value)
	}
}

// Validate checks what every binary needs.
func (c Config) Validate() error {
	var problems []error
	if c.Database.URL == "" {
		problems = append(problems, errors.New("database.url (TXN_DATABASE_URL) is required"))
	}
	if c.Ledger.Committers < 1 || c.Ledger.MaxBatch < 1 || c.Ledger.Queue < c.Ledger.MaxBatch {
		problems = append(problems, errors.New("ledger: committers and max_batch must be at least 1, queue at least max_batch"))
	}
	if c.Database.MaxOpenConns < c.Ledger.Committers+2 {
		problems = append(problems, errors.New("database.max_open_conns must be at least ledger.committers + 2"))
	}
	if c.API.ShutdownDelay < 0 {
		problems = append(problems, errors.New("api.shutdown_delay must not be negative: 0 stops at once"))
	}
	if c.Dispatcher.Slots < 1 {
		problems = append(problems, errors.New("dispatcher.slots must be at least 1"))
	}
	if c.Webhooks.MaxPerBusiness < 1 {
		problems = append(problems, errors.New("webhooks.max_per_business must be at least 1"))
	}
	if c.Webhooks.Timeout <= 0 {
		problems = append(problems, errors.New("webhooks.timeout must be positive"))
	}
	if c.Webhooks.Retention < 0 {
		problems = append(problems, errors.New("webhooks.retention must not be negative: 0 keeps everything"))
	}
	if _, err := c.Webhooks.ProxyURL(); err != nil {
		problems = append(problems, err)
	}
	if _, err := c.OTel.TracesURL(); err != nil {
		problems = append(problems, err)
	}
	if !(c.OTel.SampleRatio >= 0 && c.OTel.SampleRatio <= 1) { // NaN is neither
		problems = append(problems, errors.New("otel.sample_ratio must be between 0 and 1"))
	}
	if _, err := c.Security.Keys(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
