package resolver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onoma/dns"
	"onoma/resolver/anchor"
	"onoma/resolver/validator"
)

// exceptions are the negative trust anchors in force (RFC 7646), each until its
// end. Readers take no lock.
type exceptions struct {
	now func() time.Time
	mu  sync.Mutex // held by who makes the next map
	all atomic.Pointer[map[dns.Name]time.Time]
}

// recheckEvery is how often a zone that is excepted for a time is tried.
const recheckEvery = 5 * time.Minute

// has reports whether one stands at name.
func (x *exceptions) has(name dns.Name) bool {
	all := x.all.Load()
	if all == nil {
		return false
	}
	until, ok := (*all)[name.Fold()]
	return ok && (until.IsZero() || x.now().Before(until))
}

// left returns for how many seconds all of them stand: no answer that one of them
// let pass is kept for longer.
func (x *exceptions) left() uint32 {
	least := time.Duration(dns.MaxTTL) * time.Second
	if all := x.all.Load(); all != nil {
		for _, until := range *all {
			if d := until.Sub(x.now()); !until.IsZero() && d > 0 {
				least = min(least, d)
			}
		}
	}
	return uint32(least / time.Second)
}

// change puts an edited copy in the place of the map; those that are over go.
func (x *exceptions) change(edit func(map[dns.Name]time.Time)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	next := map[dns.Name]time.Time{}
	if old := x.all.Load(); old != nil {
		next = maps.Clone(*old)
	}
	maps.DeleteFunc(next, func(_ dns.Name, until time.Time) bool { return !until.IsZero() && !x.now().Before(until) })
	edit(next)
	x.all.Store(&next)
}

// Except sets a negative trust anchor: name and all below it count as not signed
// until then; the zero time is no end. One in the past takes it away. All whole
// answers are forgotten.
func (r *Resolver) Except(name dns.Name, until time.Time) {
	name = name.Fold()
	r.exceptions.change(func(all map[dns.Name]time.Time) {
		if all[name] = until; !until.IsZero() && !r.cfg.Env.Now().Before(until) {
			delete(all, name)
		}
	})
	if r.excepting.Load() { // else New is setting what is configured
		r.saveExceptions()
	}
	r.forgetVerdicts()
}

// saveExceptions keeps those that have an end.
func (r *Resolver) saveExceptions() {
	if r.cfg.ExceptionFile == "" {
		return
	}
	r.exceptions.mu.Lock()
	defer r.exceptions.mu.Unlock()
	text := []byte("# names at and below which nothing is validated, and until when\n")
	all := *r.exceptions.all.Load()
	for _, name := range slices.SortedFunc(maps.Keys(all), dns.Name.Compare) {
		if until := all[name]; !until.IsZero() {
			text = fmt.Appendf(text, "%s %s\n", name, until.UTC().Format(time.RFC3339))
		}
	}
	if err := anchor.Replace(r.cfg.ExceptionFile, text); err != nil {
		r.cfg.Log.Error("negative trust anchors are lost at a restart", "file", r.cfg.ExceptionFile, "error", err)
	}
}

// loadExceptions takes those that were kept and are not over.
func (r *Resolver) loadExceptions() error {
	defer r.excepting.Store(true)
	if r.cfg.ExceptionFile == "" {
		return nil
	}
	text, err := os.ReadFile(r.cfg.ExceptionFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading negative trust anchors: %w", err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		word, end, _ := strings.Cut(line, " ")
		name, err := dns.ParseName(word)
		until, timeErr := time.Parse(time.RFC3339, end)
		if err = errors.Join(err, timeErr); err != nil {
			return fmt.Errorf("reading negative trust anchors: %s:%d: %w, expected a name and a time", r.cfg.ExceptionFile, i+1, err)
		}
		if _, isThere := r.Exceptions()[name.Fold()]; !isThere {
			r.Except(name, until)
		}
	}
	return nil
}

// watchExceptions ends those that are not needed any more.
func (r *Resolver) watchExceptions() {
	defer r.wg.Done()
	every := time.NewTicker(recheckEvery)
	defer every.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-every.C:
		}
		for name, until := range r.Exceptions() {
			if !until.IsZero() && r.isMended(name) {
				r.cfg.Log.Info("negative trust anchor ends early: the zone validates again", "name", name.String(), "until", until)
				r.Except(name, r.cfg.Env.Now())
			}
		}
	}
}

// isMended reports whether a name for which a negative trust anchor stands would
// pass without it, as others do then (RFC 7646 §1.1). What it finds is noted nowhere.
func (r *Resolver) isMended(name dns.Name) bool {
	r.anchoring.Lock()
	anchors := r.anchors
	r.anchoring.Unlock()
	if len(anchors) == 0 {
		return false
	}
	except := func(n dns.Name) bool { return !n.Equal(name) && r.isExcepted(n) }
	v := validator.New(validator.Options{Anchors: anchors, Fetch: r.fetch, Clock: r.cfg.Env.Now, Except: except, Brief: true})
	q := dns.Question{Name: name, Type: dns.TypeSOA, Class: dns.ClassIN}
	in := &inquiry{r: r, validator: v, q: q, asking: asking{budget: r.iterator.NewBudget(), renewal: r.now() + dns.MaxTTL/2}}
	in.budget = in.asking.budget
	a, err := in.resolve(r.ctx, q, false)
	if err != nil {
		return false
	}
	judged, err := v.Judge(context.WithValue(r.ctx, inquiryKey{}, in), q, messageOf(a), a.Local, &in.budget.Proof)
	return err == nil && judged.Status != validator.Bogus && judged.Status != validator.Indeterminate
}

// Exceptions returns the negative trust anchors in force.
func (r *Resolver) Exceptions() map[dns.Name]time.Time {
	r.exceptions.change(func(map[dns.Name]time.Time) {})
	return maps.Clone(*r.exceptions.all.Load())
}
