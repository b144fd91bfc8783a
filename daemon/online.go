package daemon

import (
	"time"

	"onoma/config"
	"onoma/dns/dnssec"
	"onoma/signer/keys"
	"onoma/signer/online"
	"onoma/zone"
)

func (d *Daemon) openOnline(conf *config.Config) {
	d.online = online.New(online.Options{Cache: int(conf.DNSSEC.Cache), PerSecond: conf.DNSSEC.Rate, Clock: d.now})
}

// onlineDoor signs answers of a zone.
type onlineDoor struct {
	*online.Zone
	validity time.Duration
}

// signOnline has answers of a zone signed as they are given, if its policy says so, or what is served of it has nothing else to
// prove denials with. So there is a door before there is such a version, and until there is none.
func (d *Daemon) signOnline(e *entry) {
	z := d.pipe.Zone(e.id)
	if z == nil {
		return
	}
	v := z.Current()
	p := &e.plan.signing.Policy
	isBare := v != nil && v.Denial() == zone.DenialCompact
	isWanted := p.Denial.Kind == keys.Compact && d.signer.Zone(e.id) != nil
	if !isWanted && !isBare || d.signer.Zone(e.id) == nil {
		d.doors.Delete(e.id)
		z.SignOnline(nil)
		return
	}
	// A signature is good for as long as those of the version are when they are made anew.
	validity := max(p.Refresh, time.Minute)
	made, ok := d.doors.Load(e.id)
	if !ok || made.(*onlineDoor).validity != validity {
		made = &onlineDoor{d.online.Zone(online.ZoneOptions{Origin: e.id.Name, Validity: validity}), validity}
		d.doors.Store(e.id, made)
	}
	door := made.(*onlineDoor)
	door.NotBefore(d.signer.TimeOf(e.id))
	d.giveKeys(e.id, v, door.Zone)
	z.SignOnline(door.Zone)
}

// giveKeys has answers signed by the keys that have signed what is served: no other is sure to be published.
func (d *Daemon) giveKeys(id zone.ID, v *zone.Version, door *online.Zone) {
	ids := d.signer.SignersOf(id, v)
	keys := make([]*dnssec.Key, 0, len(ids))
	for _, key := range ids {
		k, err := d.privates.Load(d.ctx, key)
		if err != nil {
			d.log.Error("answers are not signed by a key", "zone", id, "key", key, "error", err)
			continue
		}
		keys = append(keys, k)
	}
	door.SetKeys(keys)
}

// versionServed has answers signed by the keys of what is served now.
func (d *Daemon) versionServed(id zone.ID) {
	if _, ok := d.doors.Load(id); !ok {
		return
	}
	if e := d.zones.get(id); e != nil {
		d.signOnline(e)
	}
}
