package httpapi

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/httpapi/middleware"
	"github.com/txn-service/txn/pkg/models"
)

// Sizes of bodies, in bytes: a slight one costs no more than its connection does
// and is not counted, and those up to modestBody have room of their own, so that
// no number of large ones makes them wait.
const (
	slightBody = 4 << 10
	modestBody = 64 << 10
)

// pageRow is what a row of a page counts for, in bytes: metadata as large as they
// may be, in ASCII. Once the page is there it counts for what it is.
const pageRow = 32 << 10

// Room in one process for bodies and for pages of lists, in bytes. What is made of
// a large body, up to its answer and its events, takes some five times its size,
// and what a page is made of three times.
const (
	modestRoom = 8 << 20
	largeRoom  = 2 * maxBatchBody
	pageRoom   = 16 << 20
)

// roomPatience is how long a request waits for room. A batch of the largest size is
// done in less.
const roomPatience = 5 * time.Second

// room bounds what the requests of one kind have in memory at once. A business has
// at most half of it, so that its uploads and downloads, however slow, leave the
// others theirs. Those that wait are let in in the order in which they came,
// except that a business which has its half is passed over.
type room struct {
	mu       sync.Mutex
	capacity int64
	taken    int64
	of       map[models.BusinessID]int64
	waiting  []*visit
}

// visit is a request that wants in. It is let in when admitted is closed.
type visit struct {
	business models.BusinessID
	size     int64
	admitted chan struct{}
}

func newRoom(capacity int64) *room {
	return &room{capacity: capacity, of: make(map[models.BusinessID]int64)}
}

// enter waits for room until patience is over, or ctx. Errors:
// errs.Unavailable.
func (r *room) enter(ctx context.Context, business models.BusinessID, size int64) error {
	v := &visit{business: business, size: size, admitted: make(chan struct{})}
	r.mu.Lock()
	r.waiting = append(r.waiting, v)
	r.admit()
	r.mu.Unlock()
	select {
	case <-v.admitted:
		return nil
	default:
	}
	end := time.NewTimer(roomPatience)
	defer end.Stop()
	select {
	case <-v.admitted:
		return nil
	case <-end.C:
	case <-ctx.Done():
	}
	if !r.giveUp(v) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return database.Coded(err)
	}
	err := errs.New(errs.Unavailable, "too many large requests are being worked on, try again")
	err.RetryAfter = time.Second
	return err
}

// admit lets in whom there is room for. The caller holds mu.
func (r *room) admit() {
	kept := r.waiting[:0]
	blocked := false
	for _, v := range r.waiting {
		switch {
		case r.of[v.business]+v.size > r.capacity/2:
			kept = append(kept, v)
		case blocked || r.taken+v.size > r.capacity:
			// Nobody overtakes it, or a large one would wait for ever.
			blocked = true
			kept = append(kept, v)
		default:
			r.taken += v.size
			r.of[v.business] += v.size
			close(v.admitted)
		}
	}
	clear(r.waiting[len(kept):])
	r.waiting = kept
}

// giveUp takes back a visit that waits, false when it has just been let in.
func (r *room) giveUp(v *visit) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.waiting, v)
	if i < 0 {
		return false
	}
	r.waiting = slices.Delete(r.waiting, i, i+1)
	r.admit()
	return true
}

func (r *room) leave(business models.BusinessID, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken -= size
	if r.of[business] -= size; r.of[business] == 0 {
		delete(r.of, business)
	}
	r.admit()
}

// intake is the room of a process: for modest and large bodies, and for pages.
type intake struct{ modest, large, pages *room }

func newIntake() *intake {
	return &intake{modest: newRoom(modestRoom), large: newRoom(largeRoom), pages: newRoom(pageRoom)}
}

// admission is the room that one request has taken.
type admission struct {
	intake   *intake
	business models.BusinessID
	in       *room
	size     int64
}

// admissionKey is where admit keeps the request's admission in Gin's context.
type admissionKey struct{}

// admit keeps what the request's body takes until the request is answered.
func (a *API) admit(c *gin.Context) {
	admitted := a.newAdmission(c)
	defer admitted.leave()
	c.Next()
}

// admitPage is admit for a list: it takes room for as many rows as are asked for.
func (a *API) admitPage(c *gin.Context) {
	admitted := a.newAdmission(c)
	defer admitted.leave()
	rows, err := strconv.Atoi(c.Query("limit"))
	if err != nil {
		rows = defaultPageSize // or it will be refused
	}
	rows = max(1, min(rows, maxPageSize))
	if err := admitted.enter(c.Request.Context(), a.intake.pages, int64(rows)*pageRow); err != nil {
		middleware.Fail(c, err)
		return
	}
	c.Next()
}

func (a *API) newAdmission(c *gin.Context) *admission {
	admitted := &admission{intake: a.intake, business: middleware.PrincipalOf(c).BusinessID}
	c.Set(admissionKey{}, admitted)
	return admitted
}

func admissionOf(c *gin.Context) *admission {
	value, _ := c.Get(admissionKey{})
	admitted, _ := value.(*admission) // nil where nothing is bounded
	return admitted
}

// take takes room for a body of up to size bytes in the place of what the request
// has. Errors: errs.Unavailable.
func (a *admission) take(ctx context.Context, size int64) error {
	if a == nil || size <= slightBody {
		return nil
	}
	a.leave()
	if size <= modestBody {
		return a.enter(ctx, a.intake.modest, size)
	}
	return a.enter(ctx, a.intake.large, size)
}

func (a *admission) enter(ctx context.Context, in *room, size int64) error {
	if err := in.enter(ctx, a.business, size); err != nil {
		return err
	}
	a.in, a.size = in, size
	return nil
}

// settle gives back what a page does not take, now that it is there: whoever reads
// it slowly holds no more than that.
func (a *admission) settle(size int64) {
	if a == nil || a.in != a.intake.pages || size >= a.size {
		return
	}
	a.in.leave(a.business, a.size-size)
	a.size = size
}

func (a *admission) leave() {
	if a.in != nil {
		a.in.leave(a.business, a.size)
		a.in, a.size = nil, 0
	}
}
