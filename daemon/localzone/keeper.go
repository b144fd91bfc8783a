package localzone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"onoma/authority"
	"onoma/authority/secondary"
	"onoma/zone"
)

// Demand says what is asked of a copy's ZONEMD record (RFC 8976).
type Demand uint8

// The demands.
const (
	Verify  Demand = iota // it has to be right where there is one
	Require               // there has to be one
	Off                   // nothing is judged, signatures neither
)

// Zone is one zone that is kept: from File, or from Primaries.
type Zone struct {
	Served    *zone.Zone // that the resolver's route has
	File      string
	Primaries []secondary.Primary
	Demand    Demand
}

// Options say how a Keeper works. Check and Publish must be set; the resolver has them.
type Options struct {
	Zones   []Zone
	Dir     string // where what was fetched is kept; "": nowhere
	Check   func(ctx context.Context, v *zone.Version, required bool) error
	Publish func(z *zone.Zone, v *zone.Version)
	Keys    *authority.Keys // that primaries may name
	Dial    func(context.Context, secondary.Primary) (secondary.Link, error)
	Log     *slog.Logger
}

// Keeper keeps zones. Make it with New and have it Run.
type Keeper struct {
	o           Options
	secondaries *secondary.Secondary

	mu    sync.Mutex
	zones map[zone.ID]*kept
}

// kept is one zone. Its version is what was found good last.
type kept struct {
	Zone
	number  uint64
	version *zone.Version
	stamp   time.Time // of the file, when it was read
}

// startTime bounds what New does: judging may have to ask others.
const startTime = 3 * time.Second

// New returns a Keeper with what is on the disk: zones of which a good copy is
// there are answered from when it returns. What is wrong with the others is in the
// log, and is tried again by Run.
func New(ctx context.Context, o Options) *Keeper {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	k := &Keeper{o: o, zones: map[zone.ID]*kept{}}
	k.secondaries = secondary.New(secondary.Options{Zones: k, Keys: o.Keys, DialQUIC: o.Dial, Save: k.saveTimers, Log: o.Log})
	for _, z := range o.Zones {
		id := zone.IDOf("", z.Served.Origin())
		e := &kept{Zone: z}
		k.zones[id] = e
		if z.File != "" {
			k.read(ctx, e)
			continue
		}
		k.restore(ctx, e)
		saved, err := os.ReadFile(k.path(e, ".timers"))
		if err != nil || e.version == nil {
			saved = nil // it is asked for at once
		}
		k.secondaries.Add(secondary.ZoneConfig{ID: id, Primaries: z.Primaries, Saved: saved})
	}
	return k
}

// fileEvery is how often files are looked at.
const fileEvery = 10 * time.Second

// Run keeps the zones until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- k.secondaries.Run(ctx) }()
	tick := time.NewTicker(fileEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			k.Reload(ctx)
		}
	}
}

// Reload reads the files that have changed, and those of which nothing good was
// read yet.
func (k *Keeper) Reload(ctx context.Context) {
	k.mu.Lock()
	var list []*kept
	for _, e := range k.zones {
		if e.File != "" {
			list = append(list, e)
		}
	}
	k.mu.Unlock()
	for _, e := range list {
		k.read(ctx, e)
	}
}

// read takes a zone's file if it has changed.
func (k *Keeper) read(ctx context.Context, e *kept) {
	info, err := os.Stat(e.File)
	k.mu.Lock()
	isSame := err == nil && e.version != nil && info.ModTime().Equal(e.stamp)
	k.mu.Unlock()
	if isSame {
		return
	}
	var v *zone.Version
	if err == nil {
		v, _, err = zone.LoadFile(e.File, e.Served.Origin())
	}
	if err == nil && v == nil {
		err = errors.New("it is no zone that can be served")
	}
	if err == nil {
		_, err = k.take(ctx, e, v)
	}
	if err != nil {
		k.o.Log.Error("zone is not read", "zone", e.Served.Origin(), "file", e.File, "error", err)
		return
	}
	k.mu.Lock()
	e.stamp = info.ModTime()
	k.mu.Unlock()
}

// take judges a version and, if it is good, has it answered from.
func (k *Keeper) take(ctx context.Context, e *kept, v *zone.Version) (number uint64, err error) {
	if e.Demand != Off {
		if err := k.o.Check(ctx, v, e.Demand == Require); err != nil {
			return 0, err
		}
	}
	k.mu.Lock()
	e.version, number = v, e.number+1
	e.number = number
	k.mu.Unlock()
	k.o.Publish(e.Served, v)
	k.o.Log.Info("zone is answered from memory", "zone", v.Origin(), "serial", v.Serial())
	return number, nil
}

// path is where something of a zone is kept.
func (k *Keeper) path(e *kept, what string) string {
	name := strings.TrimSuffix(strings.ReplaceAll(e.Served.Origin().Fold().String(), "/", "\\047"), ".")
	if name == "" {
		name = "root"
	}
	return filepath.Join(k.o.Dir, name+what)
}

// restore takes the copy that is on the disk, unless it is older than its SOA
// record lets it become.
func (k *Keeper) restore(ctx context.Context, e *kept) {
	if k.o.Dir == "" {
		return
	}
	path := k.path(e, ".zone")
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	var v *zone.Version
	if err == nil {
		v, err = zone.LoadSnapshot(path, e.Served.Origin())
	}
	if err == nil {
		if age, most := time.Since(info.ModTime()), expireOf(v); age > most {
			err = fmt.Errorf("it is %s old, %s are allowed", age.Round(time.Second), most)
		} else {
			_, err = k.take(ctx, e, v)
		}
	}
	if err != nil {
		k.o.Log.Warn("the copy on the disk is not used", "zone", e.Served.Origin(), "file", path, "error", err)
	}
}

// expireOf is how long a copy is good that nobody confirms (RFC 1035 §3.3.13).
func expireOf(v *zone.Version) time.Duration {
	data := v.SOA().First()
	if len(data) < 20 {
		return 0
	}
	d := data[len(data)-8:]
	return time.Duration(uint32(d[0])<<24|uint32(d[1])<<16|uint32(d[2])<<8|uint32(d[3])) * time.Second
}

// Submit is for the secondary: it takes what has been fetched.
func (k *Keeper) Submit(ctx context.Context, changes ...zone.Change) (receipts []zone.Receipt, err error) {
	for _, c := range changes {
		r, err := k.submit(ctx, c)
		if err != nil {
			return receipts, err
		}
		receipts = append(receipts, r)
	}
	return receipts, nil
}

func (k *Keeper) submit(ctx context.Context, c zone.Change) (zone.Receipt, error) {
	k.mu.Lock()
	e := k.zones[c.Zone]
	var head *zone.Version
	overtaken := false
	if e != nil {
		head, overtaken = e.version, c.Base != 0 && c.Base != e.number
	}
	k.mu.Unlock()
	switch {
	case e == nil:
		return zone.Receipt{}, zone.ErrUnknown
	case overtaken:
		return zone.Receipt{}, zone.ErrConflict
	}
	v := c.Replace
	if c.Edit != nil {
		var err error
		if v, err = edit(head, c.Edit); err != nil {
			return zone.Receipt{}, err
		}
	}
	number, err := k.take(ctx, e, v)
	switch {
	case err != nil && c.Edit != nil:
		return zone.Receipt{}, fmt.Errorf("%w: %w", zone.ErrUnfit, err) // the whole zone is asked for, then
	case err != nil:
		return zone.Receipt{}, &zone.Refusal{Zone: c.Zone, Rule: "zonemd", Reason: err.Error()}
	}
	if k.o.Dir != "" {
		if err := errors.Join(os.MkdirAll(k.o.Dir, 0o700), v.WriteSnapshot(k.path(e, ".zone"))); err != nil {
			k.o.Log.Error("the copy of a zone is not kept", "zone", c.Zone, "error", err)
		}
	}
	return zone.Receipt{Zone: c.Zone, Version: number, Serial: v.Serial(), Changed: true, At: time.Now(), By: c.By}, nil
}

func edit(head *zone.Version, change func(*zone.Editor) error) (*zone.Version, error) {
	if head == nil {
		return nil, zone.ErrConflict
	}
	e := head.Edit()
	if err := change(e); err != nil {
		e.Discard()
		return nil, err
	}
	return e.Commit()
}

// Head is for the secondary: what was found good last.
func (k *Keeper) Head(id zone.ID) (number uint64, v *zone.Version, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.zones[id]
	if e == nil {
		return 0, nil, false
	}
	return e.number, e.version, e.version != nil
}

// Zone is for the secondary: what is answered from.
func (k *Keeper) Zone(id zone.ID) *zone.Zone {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.zones[id]; e != nil {
		return e.Served
	}
	return nil
}

// States are what is known of the zones that are fetched.
func (k *Keeper) States() []secondary.State { return k.secondaries.States() }

// saveTimers keeps what the timers of zones say beside their copies.
func (k *Keeper) saveTimers(_ context.Context, list []secondary.Saved) error {
	if k.o.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(k.o.Dir, 0o700); err != nil {
		return err
	}
	for _, s := range list {
		k.mu.Lock()
		e := k.zones[s.Zone]
		k.mu.Unlock()
		if e == nil {
			continue
		}
		path := k.path(e, ".timers")
		if err := errors.Join(os.WriteFile(path+".new", s.Data, 0o600), os.Rename(path+".new", path)); err != nil {
			return err
		}
	}
	return nil
}
