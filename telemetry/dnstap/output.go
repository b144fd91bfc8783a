// Package dnstap tells a reader of every query and answer: dnstap messages (dnstap.proto) in Frame Streams, over a unix
// socket or TCP, which the reader accepts, or into a file.
//
// Whoever answers puts a copy of the messages into a Ring of its own and goes on; one goroutine, Run, takes them out,
// encodes and writes them. When the reader is slow or gone the rings fill up and what comes then is dropped and counted:
// no answer ever waits.
package dnstap

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what is told to whom.
type Config struct {
	Sink      Sink
	Identity  string // of this server, as in NSID
	Version   string // of this program
	Queries   bool   // tell of queries
	Responses bool   // tell of answers
	Sample    int    // tell of one query in so many, and of its answer; 0 and 1: of all
	Log       *slog.Logger
	Encoder   Encoder // nil: dnstap messages

	open func(Sink, time.Time) (stream, error) // tests
}

// Encoder turns events into what a sink is written. It is called by one goroutine at a time.
type Encoder interface {
	// Frames appends to dst what is to be told of an event, and returns of how many pieces that is.
	Frames(dst []byte, e *Event) (out []byte, n int)
}

// Output is the way to one sink.
type Output struct {
	cfg    Config
	enc    Encoder // Run's
	buf    []byte  // Run's
	rotate chan struct{}

	mu    sync.Mutex
	rings []*Ring // only grows

	sent, lost, opened atomic.Uint64
	up                 atomic.Bool
}

// New returns an Output that Run makes work.
func New(cfg Config) *Output {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.open == nil {
		cfg.open = Sink.open
	}
	cfg.Sample = max(cfg.Sample, 1)
	if cfg.Encoder == nil {
		cfg.Encoder = newEncoder(cfg.Identity, cfg.Version)
	}
	return &Output{cfg: cfg, enc: cfg.Encoder, rotate: make(chan struct{}, 1)}
}

// Queries, Responses and Sample are as configured.
func (o *Output) Queries() bool   { return o.cfg.Queries }
func (o *Output) Responses() bool { return o.cfg.Responses }
func (o *Output) Sample() int     { return o.cfg.Sample }

// NewRing returns a Ring that Run will empty, for as long as the Output lives.
func (o *Output) NewRing(size int) *Ring {
	r := NewRing(size)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rings = append(o.rings, r)
	return r
}

// Rotate begins a new file; a connection is left as it is.
func (o *Output) Rotate() {
	if o.cfg.Sink.Network != "file" && o.cfg.Sink.Network != Lines {
		return
	}
	select {
	case o.rotate <- struct{}{}:
	default:
	}
}

// Stats says what became of events. An event is a query, its answer, or both.
type Stats struct {
	Sink      string `json:"sink"`
	Connected bool   `json:"connected"`
	Opened    uint64 `json:"opened"`  // times that the sink was connected to, or its file begun
	Frames    uint64 `json:"frames"`  // written
	Events    uint64 `json:"events"`  // accepted
	Dropped   uint64 `json:"dropped"` // events that found their ring full
	Lost      uint64 `json:"lost"`    // frames that were on their way when the sink failed
}

// Stats returns what was counted since New.
func (o *Output) Stats() Stats {
	s := Stats{Sink: o.cfg.Sink.String(), Connected: o.up.Load(), Opened: o.opened.Load(), Frames: o.sent.Load(), Lost: o.lost.Load()}
	for _, r := range o.all() {
		s.Events += r.kept.Load()
		s.Dropped += r.dropped.Load()
	}
	return s
}

func (o *Output) all() []*Ring {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rings
}

const (
	poll     = 20 * time.Millisecond // between looks at rings that were empty
	chunk    = 64 << 10              // octets written at once
	minRetry = 100 * time.Millisecond
	maxRetry = 30 * time.Second
)

// Run writes until ctx ends; what is in the rings then is still written if the sink takes it.
func (o *Output) Run(ctx context.Context) {
	retry := minRetry
	for ctx.Err() == nil {
		s, err := o.cfg.open(o.cfg.Sink, time.Now())
		if err != nil {
			o.cfg.Log.Warn("dnstap sink cannot be opened, trying again", "sink", o.cfg.Sink.String(), "in", retry.String(), "error", err)
			sleep(ctx, retry)
			retry = min(2*retry, maxRetry)
			continue
		}
		o.opened.Add(1)
		o.up.Store(true)
		o.cfg.Log.Info("dnstap sink open", "sink", o.cfg.Sink.String())
		wrote, err := o.write(ctx, s)
		o.up.Store(false)
		if err == nil {
			continue
		}
		o.cfg.Log.Warn("dnstap sink failed, opening it again", "sink", o.cfg.Sink.String(), "in", retry.String(), "error", err)
		if wrote {
			retry = minRetry
		}
		sleep(ctx, retry)
		retry = min(2*retry, maxRetry)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// write empties the rings into s until ctx ends, the file is to be rotated, or s fails. wrote reports that s has taken
// something.
func (o *Output) write(ctx context.Context, s stream) (wrote bool, err error) {
	defer context.AfterFunc(ctx, s.hurry)()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		n, err := o.drain(s)
		if err != nil {
			s.abort()
			return wrote, err
		}
		wrote = wrote || n > 0
		wait := tick.C
		if n > 0 {
			wait = atOnce
		}
		select {
		case <-ctx.Done():
			return wrote, o.close(s)
		case <-o.rotate:
			return wrote, o.close(s)
		case <-wait:
		}
	}
}

// atOnce can always be received from.
var atOnce = func() chan time.Time { c := make(chan time.Time); close(c); return c }()

// close writes what is left, which is at most what the rings hold unless they are still being filled, and ends s.
func (o *Output) close(s stream) error {
	for range lastRounds {
		n, err := o.drain(s)
		if err != nil {
			s.abort()
			return err
		}
		if n == 0 {
			break
		}
	}
	return s.finish()
}

const lastRounds = 256

// drain takes up to a chunk out of each ring and writes it.
func (o *Output) drain(s stream) (frames int, err error) {
	for _, r := range o.all() {
		n := o.take(r)
		if n == 0 {
			continue
		}
		if _, err := s.Write(o.buf); err != nil {
			o.lost.Add(uint64(n))
			return frames, err
		}
		o.sent.Add(uint64(n))
		frames += n
	}
	return frames, nil
}

// take encodes about a chunk of events of r into buf.
func (o *Output) take(r *Ring) (frames int) {
	var ev Event
	for o.buf = o.buf[:0]; len(o.buf) < chunk; {
		b := r.next()
		if b == nil {
			break
		}
		ev.read(b)
		n := 0
		o.buf, n = o.enc.Frames(o.buf, &ev)
		frames += n
		r.done(len(b))
	}
	return frames
}
