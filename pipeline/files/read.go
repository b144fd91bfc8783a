package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"onoma/dns/zonefile"
	"onoma/zone"
)

// cause is why a file is looked at.
type cause uint8

const (
	causeReload cause = iota // of all: files that have changed, and those that were not good
	causeChange              // it has changed, or something beside it
	causePoll                // it may have changed: nobody can tell
	causeZone                // an operator names the zone: it is read in any case
	causeTake                // and a file in mode Initial, too
)

// Reload looks at all files, several at a time, and reads those that have changed
// and those that were not good. It returns when what they say is served, or refused.
func (d *Door) Reload(ctx context.Context) []State {
	d.start(ctx)
	d.mu.Lock()
	entries := d.order
	d.mu.Unlock()
	return d.readAll(ctx, entries, causeReload)
}

// ReadNew is Reload for the zones that are new since, or have another file.
func (d *Door) ReadNew(ctx context.Context) []State {
	d.start(ctx)
	var entries []*entry
	d.mu.Lock()
	for _, e := range d.order {
		if e.isNew {
			entries = append(entries, e)
		}
	}
	d.mu.Unlock()
	return d.readAll(ctx, entries, causeReload)
}

// ReloadZone reads one zone's file whether it has changed or not. One in mode Initial
// is read only with take: it then takes the place of all that the zone has become.
func (d *Door) ReloadZone(ctx context.Context, id zone.ID, take bool) (State, error) {
	d.start(ctx)
	e, err := d.find(id)
	if err != nil {
		return State{}, err
	}
	why := causeZone
	if take {
		why = causeTake
	}
	return d.readAll(ctx, []*entry{e}, why)[0], nil
}

// worth is how many octets of zones are worth a collection when they have been read:
// reading takes more memory than keeping, and the server may make no garbage for hours.
const worth = 16 << 20

// readAll reads files for a cause. Parsing is done by as many goroutines as there are
// CPUs; beside them, changes wait for the pipeline, so that they share its syncs.
func (d *Door) readAll(ctx context.Context, entries []*entry, why cause) []State {
	states := make([]State, len(entries))
	var next, octets atomic.Int64
	var workers, waiting sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(entries)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(entries) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				e := entries[i]
				e.busy.Lock()
				d.seen(e)
				submit := d.read(ctx, e, why)
				if submit == nil {
					e.busy.Unlock()
					continue
				}
				d.inFlight <- struct{}{}
				waiting.Go(func() {
					defer func() { <-d.inFlight }()
					defer e.busy.Unlock()
					octets.Add(int64(submit()))
				})
			}
		})
	}
	workers.Wait()
	waiting.Wait()
	d.flush(ctx)
	for i, e := range entries {
		_, states[i] = d.get(e)
	}
	if octets.Load() >= worth {
		debug.FreeOSMemory()
	}
	signal(d.rewatch)
	return states
}

// read looks at e's file and reads it where it is to be read. What is left to do then
// is to submit it, which may take a while; it returns how large the zone is. Who calls
// them has e.busy.
func (d *Door) read(ctx context.Context, e *entry, why cause) (submit func() int) {
	z, state := d.get(e)
	d.take(e, z.ID)
	number, head, _ := d.o.Head(z.ID)
	switch {
	case z.Mode == Initial && number > 0 && why != causeTake:
		d.initial(ctx, e, z, number, head)
		return nil
	case why == causeZone || why == causeTake || number == 0 && why == causeReload:
	case number > 0 && e.stamp.source.IsCurrent(z.Path):
		state.Changed = false
		if state.Status != Good {
			state = State{Status: Good, Version: e.stamp.version, Serial: e.stamp.served}
		}
		d.set(e, state)
		return nil
	case (why == causePoll || why == causeChange && state.Status == Refused) && e.tried.LooksCurrent(z.Path):
		return nil // known to be no good
	}
	v, state := d.load(e, z)
	if v == nil {
		return nil
	}
	first := z.Mode == Initial && why != causeTake
	return func() int { return d.submit(ctx, e, z, v, first, state) }
}

// initial looks at a file that has been the first content of its zone. It is not read:
// whoever has changed the zone since would lose that.
func (d *Door) initial(ctx context.Context, e *entry, z Zone, number uint64, head *zone.Version) {
	s := State{Status: Good, Version: e.stamp.version, Serial: e.stamp.served}
	now, err := look(z.Path, d.o.Clock().UnixNano())
	switch {
	case err != nil: // it is needed no more
		s.note(fmt.Sprintf("the file is not there any more (%v), which does not matter: the zone has content", err))
	case e.stamp.source == nil:
		s.Version, s.Serial = number, serialOf(head)
		d.stamped(e, stamp{version: number, served: s.Serial, serial: s.Serial, source: now})
		d.keep(ctx, e, z.ID)
		s.note("the file is not read: the zone had content before")
	case e.stamp.source.LooksCurrent(z.Path):
	default:
		s.Status = Conflict
		s.problem(fmt.Sprintf("%s has changed since it became version %d of the zone, which is changed in other ways now; it is not read; "+
			"to let it take the place of version %d: onoma ctl zone reload %s --take-file", z.Path, e.stamp.version, number, z.ID))
		if !e.tried.LooksCurrent(z.Path) {
			d.o.Log.Error("zone file in conflict with the zone", "zone", z.ID, "file", z.Path, "problem", s.Problems[0])
		}
		e.tried = now
	}
	d.set(e, s)
}

// serialOf is the serial number of a version, 0 of none, as where a zone is withdrawn.
func serialOf(v *zone.Version) uint32 {
	if v == nil {
		return 0
	}
	return v.Serial()
}

// load reads e's file. It returns nil where that comes to nothing.
func (d *Door) load(e *entry, z Zone) (*zone.Version, State) {
	now := d.o.Clock()
	s := State{Status: Broken, Version: e.stamp.version, Serial: e.stamp.served, Read: now}
	e.tried, _ = look(z.Path, now.UnixNano())
	l := zone.Loader{}
	if d.o.Progress != nil {
		l.Progress = func(read, size int64) { d.o.Progress(z.ID, read, size, false) }
		defer d.o.Progress(z.ID, 0, 0, true)
	}
	var v *zone.Version
	var findings []zone.Finding
	err := checkRegular(z.Path)
	if err == nil {
		v, findings, err = l.LoadFile(z.Path, z.ID.Name)
	}
	mistakes := zonefile.Errors(nil)
	switch {
	case errors.As(err, &mistakes):
		for _, m := range mistakes {
			s.problem(m.Error())
		}
	case errors.Is(err, fs.ErrNotExist):
		s.problem(fmt.Sprintf("%v; write it, or take it out of the configuration", err))
	case err != nil:
		s.problem(err.Error())
	}
	for _, f := range findings {
		switch {
		case f.Severity == zone.Error && len(mistakes) == 0 && (v == nil || losesRecords(f.Code)): // mistakes may be why
			s.problem(z.Path + ": " + f.String())
		default:
			s.note(z.Path + ": " + f.Severity.String() + ": " + f.String())
		}
	}
	if len(s.Problems) > 0 || v == nil {
		d.failed(e, z, s, "zone file is wrong")
		return nil, s
	}
	return v, s
}

// checkRegular returns what is wrong with a path that no text can be read from to its
// end: opening a pipe waits for a writer, a device may never end, and whoever waits
// for such a file keeps all others waiting.
func checkRegular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is %s, expected a zone file", path, kindOf(info.Mode()))
	}
	return nil // what else is wrong shows when it is opened
}

// kindOf says what is there that is no regular file.
func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// losesRecords reports whether a finding is about records that are in the file and
// not in the version: the publish gate cannot know of them.
func losesRecords(code string) bool {
	switch code {
	case "bad-rdata", "meta-type", "wrong-class", "too-many-types":
		return true
	}
	return false
}

// maxLogged is how many problems of a file are logged; its State has more.
const maxLogged = 20

// failed notes that a file has come to nothing, and logs it where that is news.
func (d *Door) failed(e *entry, z Zone, s State, what string) {
	_, before := d.get(e)
	d.set(e, s)
	if before.Status == s.Status && slices.Equal(before.Problems, s.Problems) {
		return // it has been said
	}
	consequence := "the zone is not served until its file is right"
	if number, v, _ := d.o.Head(z.ID); number > 0 && v != nil {
		consequence = fmt.Sprintf("version %d with serial %d stays in service", number, v.Serial())
	}
	shown := s.Problems[:min(len(s.Problems), maxLogged)]
	d.o.Log.Error(what, "zone", z.ID, "file", z.Path, "consequence", consequence,
		"problems", shown, "more", len(s.Problems)-len(shown)+s.Dropped)
}

// submit hands a version to the pipeline and notes what becomes of it. first says
// that it is only for a zone that has none.
func (d *Door) submit(ctx context.Context, e *entry, z Zone, v *zone.Version, first bool, s State) (octets int) {
	source := v.Source()
	receipts, err := d.o.Submit(ctx, zone.Change{
		Zone: z.ID, Replace: v, First: first, By: zone.Author{Door: zone.DoorFile, Name: "file:" + z.Path},
	})
	refusal := (*zone.Refusal)(nil)
	switch {
	case first && errors.Is(err, zone.ErrConflict): // another node was faster
		number, head, _ := d.o.Head(z.ID)
		d.initial(ctx, e, z, number, head)
		return 0
	case errors.As(err, &refusal):
		s.Status, e.tried = Refused, source
		s.problem(refusal.Rule + ": " + refusal.Reason)
		for _, f := range refusal.Findings {
			s.problem(z.Path + ": " + f.String())
		}
		d.failed(e, z, s, "zone file is refused")
		return 0
	case err != nil:
		s.Status = Refused
		s.problem(err.Error())
		d.failed(e, z, s, "zone file is not taken")
		return 0
	}
	r := receipts[0]
	s.Status, s.Version, s.Serial, s.Changed = Good, r.Version, r.Serial, r.Changed
	if v.Serial() != r.Serial && v.Serial() != e.stamp.serial { // somebody has written another number, in vain
		s.note(fmt.Sprintf("%s: the serial number %d is not newer than the one that was served: %d is served instead; there is no need to change it by hand",
			z.Path, v.Serial(), r.Serial))
	}
	if r.Note != "" {
		s.note(z.Path + ": " + r.Note)
	}
	e.tried = nil
	d.stamped(e, stamp{version: r.Version, served: r.Serial, serial: v.Serial(), source: source})
	d.keep(ctx, e, z.ID)
	d.set(e, s)
	attrs := []any{"zone", z.ID, "file", z.Path, "version", r.Version, "serial", r.Serial, "changed", r.Changed, "removed", r.Removed, "added", r.Added}
	if len(s.Notes) > 0 {
		attrs = append(attrs, "notes", s.Notes[:min(len(s.Notes), maxLogged)])
	}
	d.o.Log.Info("zone file taken", attrs...)
	return v.Stats().Bytes
}
