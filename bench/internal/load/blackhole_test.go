package load

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask sends a request and returns why there was no answer.
func ask(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/any", strings.NewReader("body"))
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err == nil {
		err = answer.Body.Close()
	}
	return err
}

func TestBlackHoleNeverAnswers(t *testing.T) {
	t.Parallel()
	hole, err := NewBlackHole()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, ask(ctx, hole.URL()), context.DeadlineExceeded)
	require.Equal(t, int64(1), hole.Accepted())

	cut := make(chan error, 1)
	go func() { cut <- ask(context.Background(), hole.URL()) }()
	require.Eventually(t, func() bool { return hole.Accepted() == 2 }, 10*time.Second, time.Millisecond)
	require.NoError(t, hole.Close())
	require.Error(t, <-cut)
}
