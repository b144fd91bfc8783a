package daemon

import (
	"context"
	"time"

	"onoma/config"
	"onoma/dns/dnssec/keyfile"
	"onoma/signer"
)

// adoptTime is how long may be waited until keys of another server are taken over: what follows happens when all runs.
const adoptTime = 5 * time.Second

// adopt begins to sign a zone with the keys of the server that has signed it before. Without these it is not begun: who has the
// zone's DS from its parent would believe nothing.
func (d *Daemon) adopt(ctx context.Context, e *entry, s signer.Settings) (*signer.Zone, error) {
	found, err := keyfile.Find(config.ExpandFile(e.plan.settings.KeysFrom, e.id.Name, e.id.View), e.id.Name, d.now())
	if err != nil {
		return nil, err
	}
	var all []taken
	for _, f := range found {
		for _, w := range f.Warnings {
			d.log.Warn("key file", "file", f.Path, "what", w)
		}
		all = append(all, taken{k: f.Key})
	}
	ctx, cancel := context.WithTimeout(ctx, adoptTime)
	defer cancel()
	waits := s
	waits.Auto = true // or keys would be made now
	if _, err := d.signer.AddLoaded(ctx, e.id, waits, nil); err != nil {
		return nil, err
	}
	text, err := d.takeKeys(ctx, e.id, all, true)
	if err != nil {
		d.signer.Remove(e.id)
		return nil, err
	}
	d.log.Info("keys taken over", "zone", e.id, "files", len(found), "result", text)
	return d.signer.Add(ctx, e.id, s)
}
