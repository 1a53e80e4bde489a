package database

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Pipeline sends prepared statements and COPY data over one connection without
// waiting for answers in between (PostgreSQL documentation, §55.2.4 and
// §55.2.6). pgx.Batch pipelines statements alone, and pgx's CopyFrom takes a
// round trip for every table; a row that arrives by COPY costs the server a
// sixth less than one that arrives in arrays to unnest, and this process half.
//
// Once a statement has failed, the server skips everything up to End, COMMIT
// included. Errors stick: End returns the first.
type Pipeline struct {
	conn       *pgx.Conn
	buffer     *[]byte
	params     pgx.ExtendedQueryBuilder
	statements map[string]*pgconn.StatementDescription
	sent       bool
	err        error
}

// buffers are kept between pipelines, except uncommonly large ones.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, 64<<10)) }}

const largeBuffer = 4 << 20

// NewPipeline begins a pipeline. The connection belongs to it until End has
// returned. The statements are all that it is going to run; each that is new to
// the connection takes a round trip now.
func NewPipeline(ctx context.Context, conn *pgx.Conn, statements ...string) *Pipeline {
	p := &Pipeline{conn: conn, buffer: buffers.Get().(*[]byte), statements: make(map[string]*pgconn.StatementDescription, len(statements))}
	*p.buffer = (*p.buffer)[:0]
	for _, sql := range statements {
		statement, err := known(ctx, conn, sql)
		if err != nil {
			p.fail(fmt.Errorf("preparing a statement: %w", err))
			break
		}
		p.statements[sql] = statement
	}
	return p
}

// known returns the statement as prepared on the connection or, where pgx is told
// to keep none there (behind a pooler that gives the server's connection away
// after each transaction), its description alone, without a name.
func known(ctx context.Context, conn *pgx.Conn, sql string) (*pgconn.StatementDescription, error) {
	if conn.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		return conn.Prepare(ctx, sql, sql)
	}
	descriptions := conn.PgConn().CustomData()
	if description, ok := descriptions[sql].(*pgconn.StatementDescription); ok {
		return description, nil
	}
	description, err := conn.PgConn().Prepare(ctx, "", sql, nil)
	if err == nil {
		descriptions[sql] = description
	}
	return description, err
}

func (p *Pipeline) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Exec adds a statement that returns no rows.
func (p *Pipeline) Exec(sql string, args ...any) {
	if p.bind(sql, args...) {
		p.add(&pgproto3.Execute{})
	}
}

// Copy adds a COPY … FROM STDIN (FORMAT binary) of the rows that write adds.
func (p *Pipeline) Copy(sql string, write func(*Rows)) {
	if !p.bind(sql) {
		return
	}
	p.add(&pgproto3.Execute{})
	rows := beginRows(*p.buffer)
	write(rows)
	*p.buffer = rows.end()
	p.add(&pgproto3.CopyDone{})
}

func (p *Pipeline) bind(sql string, args ...any) bool {
	if p.err != nil {
		return false
	}
	statement := p.statements[sql]
	if statement == nil {
		p.fail(fmt.Errorf("a statement was not announced to its pipeline: %s", sql))
		return false
	}
	if err := p.params.Build(p.conn.TypeMap(), statement, args); err != nil {
		p.fail(fmt.Errorf("encoding arguments: %w", err))
		return false
	}
	if statement.Name == "" {
		p.add(&pgproto3.Parse{Query: sql, ParameterOIDs: statement.ParamOIDs})
	}
	p.add(&pgproto3.Bind{
		PreparedStatement: statement.Name, ParameterFormatCodes: p.params.ParamFormats, Parameters: p.params.ParamValues,
	})
	return p.err == nil
}

func (p *Pipeline) add(message pgproto3.FrontendMessage) {
	encoded, err := message.Encode(*p.buffer)
	if err != nil {
		p.fail(fmt.Errorf("encoding a message: %w", err))
		return
	}
	*p.buffer = encoded
}

// Send hands over what has been added so far, so that the server works on it
// while the caller makes the rest.
func (p *Pipeline) Send(ctx context.Context) {
	if p.err != nil || len(*p.buffer) == 0 {
		return
	}
	p.sent = true
	// pgx has no way to write without reading; the answers are small enough for
	// the buffers between here and the server, so that neither waits for the other.
	socket := p.conn.PgConn().Conn()
	interrupt := context.AfterFunc(ctx, func() { _ = socket.SetWriteDeadline(time.Unix(1, 0)) })
	defer interrupt()
	if _, err := socket.Write(*p.buffer); err != nil {
		p.fail(fmt.Errorf("sending a pipeline: %w", err))
	}
	*p.buffer = (*p.buffer)[:0]
}

// End sends the rest, waits for all answers and returns the last command's tag.
// When the pipeline could not be made or sent whole after a part of it had been
// sent, the connection is closed, which rolls its transaction back.
func (p *Pipeline) End(ctx context.Context) (pgconn.CommandTag, error) {
	defer p.recycle()
	p.add(&pgproto3.Sync{})
	p.Send(ctx)
	if p.err != nil {
		if p.sent {
			p.err = errors.Join(p.err, p.conn.Close(ctx))
		}
		return pgconn.CommandTag{}, p.err
	}
	return p.receive(ctx)
}

// Abort gives the pipeline up. When a part of it had been sent, the connection is
// closed, which rolls its transaction back.
func (p *Pipeline) Abort(ctx context.Context) {
	if p.sent {
		_ = p.conn.Close(ctx)
	}
	p.recycle()
}

func (p *Pipeline) receive(ctx context.Context) (last pgconn.CommandTag, err error) {
	for {
		message, lost := p.conn.PgConn().ReceiveMessage(ctx)
		if lost != nil {
			_ = p.conn.Close(ctx) // answers are outstanding
			return last, fmt.Errorf("reading the answers of a pipeline: %w", lost)
		}
		switch m := message.(type) {
		case *pgproto3.CommandComplete:
			last = pgconn.NewCommandTag(string(m.CommandTag))
		case *pgproto3.ErrorResponse:
			if err == nil {
				err = pgconn.ErrorResponseToPgError(m)
			}
		case *pgproto3.ReadyForQuery:
			return last, err
		}
	}
}

func (p *Pipeline) recycle() {
	if cap(*p.buffer) <= largeBuffer {
		buffers.Put(p.buffer)
	}
	p.buffer = nil
}
