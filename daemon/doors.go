package daemon

import (
	"context"
	"fmt"

	"onoma/authority/secondary"
	"onoma/authority/update"
	"onoma/config"
	"onoma/dns"
	"onoma/pipeline/files"
	"onoma/store"
	"onoma/zone"
)

// openDoors has the doors of a zone do as its entry says. saved is what is known
// of its timers.
func (d *Daemon) openDoors(e *entry, saved []byte) {
	signer := d.signer.Zone(e.id)
	k, s := e.kind(), update.Settings{Policy: e.plan.policy, Forward: e.plan.forward, Signed: signer != nil && signer.Owns(e.id.Name, dns.TypeRRSIG)}
	if k == fromPrimary && s.Forward != nil || k == fromDoors && len(s.Policy) > 0 {
		d.updates.Set(e.id, s)
	} else {
		d.updates.Remove(e.id)
	}
	if k == fromPrimary {
		c := e.secondaryConfig(saved)
		if signer != nil {
			c.Signer = signer
		}
		d.secondaries.Add(c)
		if _, wasRefused := d.standing(e.id); wasRefused {
			d.secondaries.Refresh(e.id) // what it has to be like may be something else now
		}
	} else {
		d.secondaries.Remove(e.id)
	}
}

// closeDoors ends what openDoors began.
func (d *Daemon) closeDoors(id zone.ID) {
	d.updates.Remove(id)
	d.secondaries.Remove(id)
}

// secondaryConfig returns what authority/secondary is to know of a zone.
func (e *entry) secondaryConfig(saved []byte) secondary.ZoneConfig {
	s := e.plan.settings
	backwards := secondary.Ignore
	if s.Backwards == "accept" {
		backwards = secondary.Accept
	}
	return secondary.ZoneConfig{
		ID: e.id, Primaries: e.plan.primaries, AllowNotify: e.plan.allowNotify, Saved: saved, Backwards: backwards,
		Timers: secondary.Timers{
			MinRefresh: s.RefreshMin, MaxRefresh: s.RefreshMax, MinRetry: s.RetryMin, MaxRetry: s.RetryMax,
			MinExpire: s.ExpireMin, MaxExpire: s.ExpireMax,
		},
	}
}

// The states that doors keep in the database.
const (
	timerState = "secondary"
	stampState = "file"
)

// saveTimers keeps what the timers of zones say.
func (d *Daemon) saveTimers(ctx context.Context, saved []secondary.Saved) error {
	states := make([]store.ZoneState, 0, len(saved))
	for _, s := range saved {
		if row, ok := d.pipe.Row(s.Zone); ok {
			states = append(states, store.ZoneState{Zone: row, What: timerState, Data: s.Data})
		}
	}
	return d.store.SetState(ctx, states)
}

// states returns one kind of state of all zones.
func (d *Daemon) states(ctx context.Context, what string) (map[zone.ID][]byte, error) {
	byRow, err := d.store.States(ctx, what)
	out := make(map[zone.ID][]byte, len(byRow))
	for _, id := range d.pipe.IDs() {
		if row, ok := d.pipe.Row(id); ok && byRow[row] != nil {
			out[id] = byRow[row]
		}
	}
	return out, err
}

// stampState is each node's own: their files are not the same.
func (d *Daemon) stampState() string {
	if d.node == nil {
		return stampState
	}
	return stampState + "/" + d.node.name
}

func (d *Daemon) stamps(ctx context.Context) (map[zone.ID][]byte, error) {
	return d.states(ctx, d.stampState())
}

func (d *Daemon) keepStamps(ctx context.Context, stamps map[zone.ID][]byte) error {
	states := make([]store.ZoneState, 0, len(stamps))
	for id, data := range stamps {
		if row, ok := d.pipe.Row(id); ok {
			states = append(states, store.ZoneState{Zone: row, What: d.stampState(), Data: data})
		}
	}
	return d.store.SetState(ctx, states)
}

var fileModes = map[config.FileMode]files.Mode{
	config.FileReload: files.Reload, config.FileWatch: files.Watch, config.FileInitial: files.Initial,
}

// setFiles tells the file door which zones have files.
func (d *Daemon) setFiles() error {
	var list []files.Zone
	for _, e := range d.zones.sorted(func(e *entry) bool { return e.file != "" }) {
		if k, s := e.kind(), e.plan.settings; k == fromFile || k == fromDoors {
			list = append(list, files.Zone{ID: e.id, Path: e.file, Mode: fileModes[s.FileMode], WriteBack: s.WriteBack})
		}
	}
	return d.files.Configure(list)
}

// permit says why a zone is not changed by an operator, nil where it is.
func (d *Daemon) permit(id zone.ID, door zone.Door) error {
	e := d.zones.get(id)
	switch {
	case e == nil:
		return fmt.Errorf("zone %s: %w", id, zone.ErrUnknown)
	case e.kind() == fromPrimary:
		return fmt.Errorf("zone %s comes from its primaries: %w", id, zone.ErrReadOnly)
	case e.kind() == fromMembers:
		return fmt.Errorf("zone %s is the catalog of this server's zones: %w", id, zone.ErrReadOnly)
	case !d.files.Allows(id, door):
		return fmt.Errorf("zone %s comes from the file %s: %w", id, e.file, zone.ErrReadOnly)
	}
	return nil
}

// Submit has changes made that an operator asks for.
func (d *Daemon) Submit(ctx context.Context, changes ...zone.Change) ([]zone.Receipt, error) {
	for i := range changes {
		if err := d.permit(changes[i].Zone, changes[i].By.Door); err != nil {
			return nil, err
		}
	}
	return d.pipe.Submit(ctx, changes...)
}
