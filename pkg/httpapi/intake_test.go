package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/httpapi/middleware"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/telemetry"
)

// enters starts a visit and returns how it ended, nil while it waits.
func enters(t *testing.T, r *room, business models.BusinessID, size int64) (outcome func() error, waits func() bool) {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- r.enter(t.Context(), business, size) }()
	synctest.Wait()
	return func() error { return <-result }, func() bool { synctest.Wait(); return len(result) == 0 }
}

func TestRoomIsSharedInHalves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(100)
		greedy, other, third := models.NewID[models.BusinessPrefix](), models.NewID[models.BusinessPrefix](), models.NewID[models.BusinessPrefix]()
		_, waits := enters(t, r, greedy, 50)
		require.False(t, waits())
		second, secondWaits := enters(t, r, greedy, 50)
		require.True(t, secondWaits(), "it has its half")
		_, waits = enters(t, r, other, 30)
		require.False(t, waits(), "who waits for a half of his own is in nobody's way")
		large, largeWaits := enters(t, r, third, 50)
		require.True(t, largeWaits())
		small, smallWaits := enters(t, r, other, 10)
		require.True(t, smallWaits(), "or the large one would wait for ever")

		r.leave(greedy, 50)
		require.NoError(t, second())
		require.True(t, largeWaits())
		r.leave(other, 30)
		require.NoError(t, large(), "in the order in which they came")
		require.True(t, smallWaits())
		r.leave(third, 50)
		require.NoError(t, small())
	})
}

func TestRoomIsWaitedForWithPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(100)
		business, others := models.NewID[models.BusinessPrefix](), []models.BusinessID{models.NewID[models.BusinessPrefix](), models.NewID[models.BusinessPrefix]()}
		for _, other := range others {
			require.NoError(t, r.enter(t.Context(), other, 50))
		}
		began := time.Now()
		err := r.enter(t.Context(), business, 20)
		require.Equal(t, errs.Unavailable, errs.CodeOf(err))
		require.Equal(t, time.Second, errs.As(err).RetryAfter)
		require.Equal(t, roomPatience, time.Since(began))

		ctx, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, hangUp)
		require.Error(t, r.enter(ctx, business, 20))

		// Whoever gave up stands in nobody's way and holds nothing.
		r.leave(others[0], 50)
		require.NoError(t, r.enter(t.Context(), business, 50))
		r.leave(others[1], 50)
		r.leave(business, 50)
		require.Zero(t, r.taken)
		require.Empty(t, r.of)
		require.Empty(t, r.waiting)
	})
}

// intakeServer answers as a route with large bodies does, once finish is closed,
// and tells of each body that is in.
func intakeServer(t *testing.T, in *intake, business models.BusinessID) (url string, arrived chan int, finish chan struct{}) {
	t.Helper()
	arrived, finish = make(chan int, 64), make(chan struct{})
	url = serve(t, func(c *gin.Context) error {
		admitted := &admission{intake: in, business: business}
		c.Set(admissionKey{}, admitted)
		defer admitted.leave()
		var into sample
		if err := decodeWithin(c, maxBatchBody, &into); err != nil {
			return err
		}
		arrived <- len(into.Name)
		select {
		case <-finish:
		case <-time.After(20 * time.Second): // the test waits for the answer, and is wrong
		}
		return respondNothing(c)
	})
	return url, arrived, finish
}

// posted returns the status of an answer, 0 when there is none. It may be called
// from any goroutine.
func posted(t *testing.T, url string, body io.Reader) int {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Error(err)
		return 0
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func named(size int) string { return `{"name":"` + strings.Repeat("a", size-len(`{"name":""}`)) + `"}` }

// Large bodies are refused when there is no room, told in advance or not, and those
// that are slight or modest go past them.
func TestLargeBodiesWaitForRoom(t *testing.T) {
	t.Parallel()
	in := newIntake()
	url, arrived, finish := intakeServer(t, in, models.NewID[models.BusinessPrefix]())
	large := named(maxBatchBody)
	answers := make(chan int, 3)
	go func() { answers <- posted(t, url, strings.NewReader(large)) }()
	require.Equal(t, maxBatchBody-len(`{"name":""}`), <-arrived)
	for _, body := range []string{named(modestBody + 1), large} {
		r := sendJSON(t, url, body)
		require.Equal(t, http.StatusServiceUnavailable, r.Status, r.body)
		require.Equal(t, errs.Unavailable, r.Code)
		require.Equal(t, "1", r.header.Get("Retry-After"))
	}
	r := send(t, http.MethodPost, url, unsized(large), "Content-Type", "application/json")
	require.Equal(t, http.StatusServiceUnavailable, r.Status, r.body)

	for _, body := range []string{named(20), named(modestBody)} {
		go func() { answers <- posted(t, url, strings.NewReader(body)) }()
		<-arrived
	}
	close(finish)
	for range cap(answers) {
		require.Equal(t, http.StatusNoContent, <-answers)
	}
	require.Zero(t, in.large.taken+in.modest.taken, "all have left")
	require.Equal(t, http.StatusNoContent, sendJSON(t, url, large).Status)
}

// A body whose length is not told takes room as it grows.
func TestUnsizedBodiesTakeRoomAsTheyGrow(t *testing.T) {
	t.Parallel()
	in := newIntake()
	url, arrived, finish := intakeServer(t, in, models.NewID[models.BusinessPrefix]())
	answers := make(chan int, 3)
	for _, step := range []struct {
		size          int
		modest, large int64
	}{{slightBody - 1, 0, 0}, {slightBody + 1, modestBody, 0}, {modestBody + 1, modestBody, maxBatchBody}} {
		go func() { answers <- posted(t, url, unsized(named(step.size))) }()
		<-arrived
		require.Equal(t, step.modest, taken(in.modest))
		require.Equal(t, step.large, taken(in.large))
	}
	close(finish)
	for range cap(answers) {
		require.Equal(t, http.StatusNoContent, <-answers)
	}
	for _, size := range []int{slightBody, modestBody, maxBatchBody} {
		r := send(t, http.MethodPost, url, unsized(named(size)), "Content-Type", "application/json")
		require.Equal(t, http.StatusNoContent, r.Status, "exactly what a step takes: %s", r.body)
		r = send(t, http.MethodPost, url, unsized(named(size)+" "), "Content-Type", "application/json")
		require.Equal(t, size == maxBatchBody, r.Status == http.StatusRequestEntityTooLarge, r.body)
	}
}

func taken(r *room) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

// A page counts for what was asked for until it is there, and then for what it is:
// slow readers of small pages hold next to nothing.
func TestPagesTakeRoomByTheirRows(t *testing.T) {
	t.Parallel()
	log := logrus.New()
	log.SetOutput(io.Discard)
	a := &API{Deps: Deps{Log: log}, intake: newIntake(), engine: gin.New()}
	a.engine.Use(middleware.Observe(log, telemetry.NewHTTP(prometheus.NewRegistry()), nil), func(c *gin.Context) {
		middleware.ExchangeOf(c).Principal = &apikey.Principal{BusinessID: models.NewID[models.BusinessPrefix]()}
	})
	var before, after int64
	body := []byte(`{"data":[]}`)
	a.engine.GET("/list", a.admitPage, handle(func(c *gin.Context) error {
		before = taken(a.intake.pages)
		err := respondEncoded(c, http.StatusOK, body)
		after = taken(a.intake.pages)
		return err
	}))
	for query, rows := range map[string]int64{"": defaultPageSize, "?limit=1": 1, "?limit=200": 200, "?limit=1000000": 200, "?limit=-1": 1, "?limit=x": defaultPageSize} {
		recorder := httptest.NewRecorder()
		a.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/list"+query, http.NoBody))
		require.Equal(t, http.StatusOK, recorder.Code)
		require.Equal(t, rows*pageRow, before, query)
		require.EqualValues(t, len(body), after, query)
		require.Zero(t, taken(a.intake.pages))
	}
	for _, r := range a.routes() {
		item := document(t).Document.Paths.Find(strings.ReplaceAll(r.path, ":id", "{id}"))
		isList := false
		if item != nil && item.GetOperation(r.method) != nil {
			isList = item.GetOperation(r.method).Parameters.GetByInAndName("query", "limit") != nil
		}
		require.Equal(t, isList && r.traits&streams == 0, r.traits&lists != 0, "%s %s", r.method, r.path)
	}
}
