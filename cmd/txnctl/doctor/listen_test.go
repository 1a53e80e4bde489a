package doctor

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListening(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.require("postgres.listen", OK, "notifications arrive")

	elsewhere, err := url.Parse(s.URL)
	require.NoError(t, err)
	elsewhere.Path = "/postgres"
	for address, detail := range map[string]string{
		elsewhere.String():                      "notifications do not arrive",
		"postgres://ada:s3cret@127.0.0.1:1/txn": "127.0.0.1:1",
		"postgres://ada:s3cret@%zz":             "polling",
	} {
		other := newSite(t)
		other.options.ConfigFile = write(t, "database: {url: \""+s.URL+"\", listen_url: \""+address+"\"}\n")
		f := other.require("postgres.listen", Warn, detail)
		require.Contains(t, f.Advice, "database.listen_url")
		require.NotContains(t, f.Detail, "s3cret")
	}
}
