package httpapi_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
)

// browserPatience bounds the whole visit.
const browserPatience = 3 * time.Minute

// findBrowser returns a Chromium, or skips the test where there is none.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium found: install chromium to have the reference page opened in a browser")
	return ""
}

// visit opens a browser that writes down what it complains of and whom it asks.
type visit struct {
	ctx context.Context //nolint:containedctx // chromedp keeps the browser in it

	mu         sync.Mutex
	complaints []string
	requested  []string
}

func openBrowser(t *testing.T) *visit {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], // headless
		chromedp.ExecPath(findBrowser(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 1600),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := context.WithTimeout(context.Background(), browserPatience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	v := &visit{ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, v.hear))
	return v
}

func (v *visit) hear(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch event := event.(type) {
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError || event.Entry.Source == log.EntrySourceSecurity {
			v.complaints = append(v.complaints, event.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		v.complaints = append(v.complaints, event.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if event.Type == runtime.ConsoleAPICalledTypeError {
			v.complaints = append(v.complaints, fmt.Sprintf("console.error: %s", event.Args[0].Value))
		}
	case *network.EventRequestWillBeSent:
		v.requested = append(v.requested, event.Request.URL)
	}
}

func (v *visit) heard() (complaints, requested []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.complaints...), append([]string(nil), v.requested...)
}

func (v *visit) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	for _, step := range steps {
		if err := chromedp.Do(v.ctx, step); err != nil {
			complaints, _ := v.heard()
			require.NoError(t, err, "the browser complains: %q", complaints)
		}
	}
}

func (v *visit) text(t *testing.T, at chromedp.CSS) string {
	t.Helper()
	text, err := chromedp.Run(v.ctx, chromedp.Text(at))
	require.NoError(t, err)
	return text
}

// picture keeps a picture of the page where TXN_TEST_SCREENSHOTS says, for people to
// look at.
func (v *visit) picture(t *testing.T, name string) {
	t.Helper()
	picture, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NotEmpty(t, picture)
	if folder := os.Getenv("TXN_TEST_SCREENSHOTS"); folder != "" {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), picture, 0o600))
	}
}

// TestTheReferencePageInABrowser reads the page, searches it, and opens an account
// with it, under its own Content-Security-Policy.
func TestTheReferencePageInABrowser(t *testing.T) {
	t.Parallel()
	v := openBrowser(t)
	api := apitest.New(t)
	const (
		search    = chromedp.CSS(`.search input`)
		operation = chromedp.CSS(`#operations-Accounts-createAccount`)
		reversal  = chromedp.CSS(`#operations-Transactions-reverseTransaction`)
		answer    = operation + ` .live-responses-table .response`
	)
	v.do(t, chromedp.Navigate(api.URL+"/docs"), chromedp.WaitVisible(operation))
	title, err := chromedp.Run(v.ctx, chromedp.Title())
	require.NoError(t, err)
	require.Equal(t, "txn API", title)
	v.picture(t, "docs.png")

	v.do(t, chromedp.SendKeys(search, "transactions:write revers"), chromedp.WaitNotPresent(operation), chromedp.WaitVisible(reversal))
	require.Eventually(t, func() bool { return v.text(t, `.search output`) == "1 operation" }, 10*time.Second, 20*time.Millisecond)
	v.picture(t, "docs-search.png")
	v.do(t,
		chromedp.Navigate(api.URL+"/docs"), chromedp.WaitVisible(operation),
		chromedp.Click(chromedp.CSS(`.btn.authorize`)),
		chromedp.SendKeys(chromedp.CSS(`.auth-container input`), api.Key),
		chromedp.Click(chromedp.CSS(`.auth-btn-wrapper .authorize`)),
		chromedp.Click(chromedp.CSS(`.auth-btn-wrapper .btn-done`)),
		chromedp.Click(operation+` .opblock-summary-control`),
		chromedp.Click(operation+` .try-out__btn`),
		chromedp.Click(operation+` .execute`),
		chromedp.WaitVisible(answer+` .response-col_status`),
	)
	require.Contains(t, v.text(t, answer+` .response-col_status`), "201")
	require.Contains(t, v.text(t, answer+` .response-col_description`), "Alice's wallet")
	accounts := api.Do(t, "GET", "/v1/accounts", nil).JSON(t)["data"].([]any)
	require.Len(t, accounts, 1)
	require.Equal(t, "customer-17", accounts[0].(map[string]any)["reference"])
	v.picture(t, "docs-tried.png")

	complaints, requested := v.heard()
	require.Empty(t, complaints)
	require.NotEmpty(t, requested)
	for _, url := range requested {
		require.True(t, strings.HasPrefix(url, api.URL+"/") || strings.HasPrefix(url, "data:"), "%s is another host", url)
	}
}
