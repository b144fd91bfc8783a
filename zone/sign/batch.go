package sign

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"onoma/dns"
)

// task is one set that is to be put, signed, or both. Its slices lie in the memory of
// a version or of the batch and stay as they are until the batch is used again.
type task struct {
	owner []byte // in wire form
	typ   dns.Type
	ttl   uint32
	rdata []byte // packed
	count int
	put   bool // the set itself is to be put
	drop  bool // it is to be taken away
	bare  bool // its signatures are, or it has none

	old     []byte // packed signatures that may be good still
	there   bool   // the zone has just these, with the right TTL
	trusted bool   // they are over these very records

	sigs []byte // packed: what signing has made
	n    int
	asIs bool // the zone has the right ones
	err  error
}

// isTop reports whether the task is of the apex.
func (t *task) isTop(origin dns.Name) bool { return len(t.owner) == origin.Len() }

// batch is tasks that are signed together, and the memory of their owners and rdata.
type batch struct {
	tasks []task
	buf   []byte
	names int
	wait  func()
}

// fullBatch is how many tasks are worth waiting for.
const fullBatch = 1 << 12

func (b *batch) reset() { b.tasks, b.buf, b.names, b.wait = b.tasks[:0], b.buf[:0], 0, nil }

// keep returns a copy of x that lives as long as the batch. The memory that earlier
// copies lie in stays theirs.
func (b *batch) keep(x []byte) []byte {
	if cap(b.buf)-len(b.buf) < len(x) {
		b.buf = make([]byte, 0, max(1<<12, 2*cap(b.buf), len(x)))
	}
	n := len(b.buf)
	b.buf = append(b.buf, x...)
	return b.buf[n:len(b.buf):len(b.buf)]
}

func (b *batch) add(t task) { b.tasks = append(b.tasks, t) }

// few is how many tasks are not worth goroutines.
const few = 4

// portion is how many tasks a goroutine takes at a time.
const portion = 8

// start has the tasks signed; b.wait waits for that.
func (s *signing) start(ctx context.Context, b *batch) {
	workers := min(s.plan.workers(), (len(b.tasks)+portion-1)/portion)
	if len(b.tasks) <= few || workers == 1 {
		s.signers[0].sign(ctx, b.tasks)
		b.wait = func() {}
		return
	}
	for len(s.signers) < workers {
		s.signers = append(s.signers, &signer{s: s})
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, g := range s.signers[:workers] {
		wg.Go(func() {
			for {
				end := int(next.Add(portion))
				if end-portion >= len(b.tasks) {
					return
				}
				g.sign(ctx, b.tasks[end-portion:min(end, len(b.tasks))])
			}
		})
	}
	b.wait = wg.Wait
}

// end waits for the batch that has been started last.
func (s *signing) end(b *batch) {
	if b.wait != nil {
		b.wait()
	}
	for _, g := range s.signers {
		g.tell(&s.report)
	}
	s.report.Names += b.names
}

// put puts what an ended batch has into the Editor.
func (s *signing) put(b *batch) error {
	for i := range b.tasks {
		if err := s.putTask(&b.tasks[i]); err != nil {
			return fmt.Errorf("signing %s: %w", s.origin, err)
		}
	}
	return nil
}

func (s *signing) putTask(t *task) error {
	if t.err != nil {
		return t.err
	}
	all := s.from != nil && t.typ == dns.TypeNSEC3 // a copy has but what is put
	if t.put || t.drop || all {
		changed, err := s.out.PutRRset(t.owner, t.typ, t.ttl, t.rdata, t.count)
		if s.changed = s.changed || changed; err != nil {
			return err
		}
	}
	if t.asIs && !all {
		return nil
	}
	changed, err := s.out.PutSigs(t.owner, t.typ, t.ttl, t.sigs, t.n)
	s.changed = s.changed || changed
	return err
}

// run signs a batch and puts it.
func (s *signing) run(ctx context.Context, b *batch) error {
	s.start(ctx, b)
	s.end(b)
	return s.put(b)
}

// stream runs the batches that gather fills until it reports that there are no
// more: one is signed while the one before is put and the next one is gathered. Where
// the sets go to a copy, putting and gathering go on beside one another too.
func (s *signing) stream(ctx context.Context, gather func(*batch) (more bool)) error {
	putting := func() error { return nil } // waits for what is being put
	var batches [3]batch
	signed := &batches[2]
	for i, more := 0, true; more; i++ {
		next := &batches[i%3]
		next.reset()
		more = gather(next)
		s.end(signed)
		s.start(ctx, next)
		if err := putting(); err != nil {
			next.wait()
			return err
		}
		putting = s.startPutting(signed)
		signed = next
	}
	s.end(signed)
	if err := putting(); err != nil {
		return err
	}
	return s.put(signed)
}

// startPutting puts a batch that has been signed, and returns what waits for it.
func (s *signing) startPutting(b *batch) func() error {
	if s.from == nil {
		err := s.put(b)
		return func() error { return err }
	}
	done := make(chan error, 1)
	go func() { done <- s.put(b) }()
	return func() error { return <-done }
}

func (p *Plan) workers() int {
	if p.Workers > 0 {
		return p.Workers
	}
	return runtime.GOMAXPROCS(0)
}
