package daemon

import (
	"onoma/config"
	"onoma/dns/dnssec"
	"onoma/signer/online"
	"onoma/zone"
)

func (d *Daemon) openOnline(conf *config.Config) {
	d.online = online.New(online.Options{Cache: int(conf.DNSSEC.Cache), PerSecond: conf.DNSSEC.Rate, Clock: d.now})
}

// signOnline has answers of a zone signed as they are given, or ends that.
func (d *Daemon) signOnline(id zone.ID, isWanted bool) {
	z := d.pipe.Zone(id)
	if z == nil {
		return
	}
	if !isWanted {
		d.doors.Delete(id)
		z.SignOnline(nil)
		return
	}
	door, _ := d.doors.LoadOrStore(id, d.online.Zone(online.ZoneOptions{Origin: id.Name}))
	d.giveKeys(id, door.(*online.Zone))
	z.SignOnline(door.(*online.Zone))
}

// giveKeys has answers signed by the keys that sign the zone now.
func (d *Daemon) giveKeys(id zone.ID, door *online.Zone) {
	ids, _ := d.signer.SigningKeys(id)
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

// keysChanged has answers signed by other keys once the zone's records are.
func (d *Daemon) keysChanged(id zone.ID) {
	if door, ok := d.doors.Load(id); ok {
		d.giveKeys(id, door.(*online.Zone))
	}
}
