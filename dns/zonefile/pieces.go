package zonefile

import (
	"io"
	"math"
	"sync"

	"onoma/dns"
)

// Taker takes the records of a master file that several goroutines read.
type Taker interface {
	// Add takes the next record of the text.
	Add(e *Entry) error
	// Begin returns what takes the records of a piece of text that worker, a
	// number from 0, reads before its turn. A worker has one piece at a time until
	// it is done with it; different workers call at the same time.
	Begin(worker int) Piece
	// Take takes a piece that is done: its records come next. It is called, like
	// Add, by one goroutine at a time. A piece that was read in vain never comes.
	Take(p Piece) error
}

// Piece takes the records of a piece of text, from one goroutine.
type Piece interface {
	Add(e *Entry) error
	Done()
}

// Parallel says how a master file is read by several goroutines.
type Parallel struct {
	Workers  int              // 0 or 1: one goroutine reads it from front to end
	Progress func(read int64) // called now and then with the octets of the file that are done; may be nil

	// Sizes for tests; 0 is a good one.
	First, Size, Ahead int
}

const (
	// A piece of text and what is made of it stay in a core's cache.
	pieceSize = 256 << 10
	// What is read in order before pieces are given out: $ORIGIN and $TTL stand there.
	firstSize = 64 << 10
)

func (p *Parallel) setDefaults() {
	for _, d := range []struct {
		value *int
		std   int
	}{{&p.First, firstSize}, {&p.Size, pieceSize}, {&p.Ahead, maxBoundary}} {
		if *d.value <= 0 {
			*d.value = d.std
		}
	}
}

// ReadInto reads to the end and closes the reader. What it hands to t and the
// mistakes that it returns, Errors, are the same as with NextEntry, whatever the
// number of goroutines. Any other error is t's, which ends the reading.
//
// Workers read pieces of the text on a guess: that the piece begins with an entry
// which states its owner, and that origin and default TTL are those in force
// further up. A piece is taken when all before it has been read and the guess has
// proved right; otherwise, and where there is any mistake, $INCLUDE or $GENERATE
// in it, its text is read again in order.
func (z *Reader) ReadInto(t Taker, p Parallel) error {
	defer z.Close()
	p.setDefaults()
	m := &merger{z: z, t: t, p: p}
	text, size := z.splittable()
	var err error
	if text != nil && p.Workers > 1 && size > int64(p.First+p.Size) {
		err = m.readPieces(text, size)
	}
	if err == nil {
		err = m.readTo(math.MaxInt64)
	}
	if err == nil && len(m.mistakes) > 0 {
		return m.mistakes
	}
	return err
}

// splittable returns the text, where it can be read from any place, and its size.
func (z *Reader) splittable() (io.ReaderAt, int64) {
	text, ok := z.src.in.(interface {
		io.ReaderAt
		io.Seeker
	})
	if !ok || z.src.begun || z.src.info != nil && !z.src.info.Mode().IsRegular() {
		return nil, 0
	}
	at, err := text.Seek(0, io.SeekCurrent)
	if err != nil || at != 0 {
		return nil, 0
	}
	size, err := text.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0
	}
	if _, err = text.Seek(0, io.SeekStart); err != nil {
		return nil, 0
	}
	return text, size
}

// merger puts what the workers read in order, and reads itself what they could not.
type merger struct {
	z        *Reader // at the end of what was handed to t
	t        Taker
	p        Parallel
	text     io.ReaderAt
	size     int64
	mistakes Errors

	mu      sync.Mutex // of what follows
	moved   sync.Cond  // turn, ended
	next    int        // piece to be read next
	turn    int        // piece to be taken next
	count   int        // of pieces
	waiting []*attempt // by number modulo their most
	taking  bool       // somebody is at the piece whose turn it is
	ended   bool
	now     context // behind the piece taken last
	missed  int     // pieces read in vain
	err     error   // of t
}

// context is what the reading of an entry depends on besides its text.
type context struct {
	origin dns.Name
	ttl    ttlState
}

// attempt is a piece that was read before its turn.
type attempt struct {
	bounds
	ok     bool    // it was read to its end without a mistake
	guess  context // before it
	after  context // behind it
	owner  *owner  // of its last record, nil where it has none
	lines  int
	piece  Piece
	failed error // of the piece
}

// readPieces reads the text by pieces, as long as that is of use.
func (m *merger) readPieces(text io.ReaderAt, size int64) error {
	m.text, m.size = text, size
	if err := m.readTo(int64(m.p.First)); err != nil || m.z.done {
		return err
	}
	m.moved.L = &m.mu
	m.count = int((size - int64(m.p.First) + int64(m.p.Size) - 1) / int64(m.p.Size))
	m.waiting = make([]*attempt, 2*m.p.Workers+2)
	m.now = m.z.context()
	var wg sync.WaitGroup
	for i := range min(m.p.Workers, m.count) {
		wg.Go(func() { m.work(i) })
	}
	wg.Wait()
	return m.err
}

// work reads pieces until there are no more.
func (m *merger) work(number int) {
	w := newWorker(number, m)
	for {
		i, guess, ok := m.give()
		if !ok {
			return
		}
		m.finish(i, w.read(i, guess))
	}
}

// give returns the number of the next piece to be read, and what to guess.
func (m *merger) give() (int, context, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.ended && m.next < m.count && m.next-m.turn >= len(m.waiting) {
		m.moved.Wait()
	}
	if m.ended || m.next == m.count {
		return 0, context{}, false
	}
	m.next++
	return m.next - 1, m.now, true
}

// finish hands in piece i, and takes all pieces whose turn has come unless
// somebody does.
func (m *merger) finish(i int, a *attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting[i%len(m.waiting)] = a
	if m.taking {
		return
	}
	for m.taking = true; !m.ended; {
		slot := &m.waiting[m.turn%len(m.waiting)]
		a := *slot
		if a == nil {
			break
		}
		*slot = nil
		m.mu.Unlock()
		taken, err := m.take(a)
		m.mu.Lock()
		m.turn++
		if !taken {
			m.missed++
		}
		m.now = m.z.context()
		m.err = err
		// Some texts are of a kind for which the guess is mostly wrong.
		m.ended = err != nil || m.z.done || m.missed > len(m.waiting)+m.turn/2
		m.moved.Broadcast()
	}
	m.taking = false
}

// take hands a piece whose turn has come to t, or reads its text again in order.
func (m *merger) take(a *attempt) (taken bool, err error) {
	if a.ok && a.from == m.z.at() && a.fits(m.z.context()) {
		m.z.skipOver(a)
		taken, err = true, m.t.Take(a.piece)
		if err == nil {
			err = a.failed
		}
	} else {
		err = m.readTo(a.to)
	}
	if m.p.Progress != nil {
		m.p.Progress(m.z.at())
	}
	return taken, err
}

// fits reports whether the piece was read on a right guess.
func (a *attempt) fits(now context) bool {
	g := &a.guess
	if g.origin != now.origin || g.ttl.haveStd != now.ttl.haveStd || g.ttl.std != now.ttl.std {
		return false
	}
	return !a.after.ttl.guessed || g.ttl.haveLast == now.ttl.haveLast && g.ttl.last == now.ttl.last
}

// readTo reads in order up to the first entry of the file that begins at offset
// to or behind it.
func (m *merger) readTo(to int64) error {
	z := m.z
	for n := 0; !z.done && (!z.isBetween() || z.at() < to); n++ {
		e, f := z.advance()
		switch {
		case f != nil:
			m.mistakes = append(m.mistakes, z.report(f))
		case e != nil:
			if err := m.t.Add(e); err != nil {
				return err
			}
		}
		if m.p.Progress != nil && n&0xFFF == 0xFFF {
			m.p.Progress(z.at())
		}
	}
	return nil
}

func (z *Reader) context() context { return context{z.src.origin, z.ttl} }

// isBetween reports whether the reader is between two entries of the first file.
func (z *Reader) isBetween() bool {
	return len(z.parents) == 0 && !z.gen.active && z.src.begun && z.src.skip == atOnce
}

// at returns the offset behind the last entry, in the first file.
func (z *Reader) at() int64 {
	s := z.src
	if len(z.parents) > 0 {
		s = z.parents[0]
	}
	return s.read - int64(s.end-s.pos-s.used)
}

// skipOver goes on behind the text that the attempt has read.
func (z *Reader) skipOver(a *attempt) {
	s := z.src
	s.line += s.lines + a.lines
	s.lines, s.used, s.pos, s.end = 0, 0, 0, 0
	s.read, s.err = a.to, nil
	if _, err := s.in.(io.Seeker).Seek(a.to, io.SeekStart); err != nil {
		s.err = err
	}
	s.origin = a.after.origin
	last, haveLast := z.ttl.last, z.ttl.haveLast
	z.ttl = a.after.ttl
	if !z.ttl.stated {
		z.ttl.last, z.ttl.haveLast = last, haveLast
	}
	if a.owner != nil {
		z.owner.inherit(a.owner)
	}
}
