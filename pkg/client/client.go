package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"
)

// Client calls one API with one key. It may be used from several goroutines, and keeps
// connections open between calls: make one and share it.
type Client struct {
	Business     *BusinessService
	Accounts     *AccountService
	Transactions *TransactionService
	Holds        *HoldService
	Webhooks     *WebhookService
	Events       *EventService
	Deliveries   *DeliveryService
	Replays      *ReplayService
	APIKeys      *APIKeyService

	base      string
	key       string
	userAgent string
	http      *http.Client
	retries   int
	backoff   time.Duration
	maxWait   time.Duration
	timeout   time.Duration
}

const (
	// defaultRetries with defaultBackoff last about four seconds: a restart of a replica,
	// or a change of the database's primary that goes well.
	defaultRetries = 4
	defaultBackoff = 250 * time.Millisecond
	// defaultMaxWait is the window of the API's default rate limit.
	defaultMaxWait = time.Minute
	// defaultTimeout is more than the API gives itself, and than testing an endpoint takes.
	defaultTimeout = 30 * time.Second
	// maxIdle is how many connections a client of its own making keeps.
	maxIdle = 100
)

// Option changes what New makes.
type Option func(*Client)

// WithHTTPClient sends with this client, for a proxy, certificates or traces of one's
// own. It is copied, and follows no redirects: the key is for one address alone.
func WithHTTPClient(http *http.Client) Option {
	return func(c *Client) {
		own := *http
		c.http = &own
	}
}

// WithRetries sets how often a call is tried again, 4 times by default. With 0 nothing
// that changes something is sent twice, not even by net/http when a connection turns
// out to be broken.
func WithRetries(most int) Option { return func(c *Client) { c.retries = max(most, 0) } }

// WithBackoff sets the wait before the first retry, a quarter of a second by default;
// each further one waits twice as long, up to eight seconds. Half of every wait is random.
func WithBackoff(first time.Duration) Option {
	return func(c *Client) { c.backoff = max(first, 0) }
}

// WithMaxWait sets how long a single wait between two tries may be, a minute by default.
// Where the service asks for more, or ctx ends before, the call fails at once.
func WithMaxWait(most time.Duration) Option {
	return func(c *Client) { c.maxWait = max(most, 0) }
}

// WithTimeout bounds each try, 30 seconds by default; ctx bounds all of them together.
// What is streamed has no such bound.
func WithTimeout(each time.Duration) Option { return func(c *Client) { c.timeout = each } }

// WithUserAgent says who calls; the service logs it.
func WithUserAgent(name string) Option { return func(c *Client) { c.userAgent = name } }

// New returns a client for the API at address, such as https://txn.example.com, that
// authenticates with key. Nothing is sent yet.
func New(address, key string, options ...Option) (*Client, error) {
	base, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the address of the API: %w", err)
	case base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, fmt.Errorf("the address of the API is %q: it should be like https://txn.example.com", base.Redacted())
	case base.RawQuery != "" || base.Fragment != "" || base.User != nil:
		return nil, errors.New("the address of the API has a query, a fragment or credentials")
	case !printable(key):
		return nil, errors.New("the API key is empty, or has characters that no key has")
	}
	c := &Client{
		base: strings.TrimRight(base.String(), "/"), key: key, userAgent: "txn-go (" + runtime.Version() + ")",
		retries: defaultRetries, backoff: defaultBackoff, maxWait: defaultMaxWait, timeout: defaultTimeout,
	}
	for _, option := range options {
		option(c)
	}
	if c.http == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = maxIdle, maxIdle
		c.http = &http.Client{Transport: transport}
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Business = &BusinessService{c}
	c.Accounts = &AccountService{c}
	c.Transactions = &TransactionService{c}
	c.Holds = &HoldService{c}
	c.Webhooks = &WebhookService{c}
	c.Events = &EventService{c}
	c.Deliveries = &DeliveryService{c}
	c.Replays = &ReplayService{c}
	c.APIKeys = &APIKeyService{c}
	return c, nil
}

// printable reports whether text can stand in a header: printable ASCII.
func printable(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }
