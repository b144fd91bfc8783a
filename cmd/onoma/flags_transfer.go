package main

import (
	"fmt"
	"log/slog"
	"net/netip"

	"onoma/authority"
	"onoma/dns"
	"onoma/zone"
)

// transferFlags say who gets whole zones, and what is signed with which key.
type transferFlags struct {
	TSIGKey      []string        `name:"tsig-key" group:"Transfers" placeholder:"FILE" help:"Keys for signed messages (TSIG, RFC 8945): \"NAME ALGORITHM SECRET\" lines, or what tsig-keygen writes; the flag again for more files. SIGHUP reads them again."`
	TransferTo   []authority.Who `group:"Transfers" placeholder:"WHO" help:"Let these have whole zones (AXFR, IXFR): an address or prefix, key:NAME, or both as PREFIX+key:NAME; several with commas, or the flag again. Without it nobody gets them."`
	TransfersMax int             `name:"transfers-max" group:"Transfers" placeholder:"N" default:"100" help:"Transfers at once (${default}), a tenth of them to one address; others wait for their turn."`
	IXFRHistory  int             `name:"ixfr-history" group:"Transfers" placeholder:"N" default:"1000" help:"Changes of each zone to keep in memory for incremental transfers (${default}), 16 MiB of them at most; 0 for none."`

	Notify     []secondary  `group:"Transfers" placeholder:"ADDR" help:"Tell this secondary of new versions of every zone (NOTIFY): ADDR, ADDR:PORT, and +key:NAME to sign; several with commas, or the flag again."`
	NotifyNS   bool         `name:"notify-ns" group:"Transfers" help:"Tell the name servers of each zone, too, but for the one that its SOA record names."`
	NotifyFrom []netip.Addr `group:"Transfers" placeholder:"ADDR" help:"The local address to send NOTIFY from, one for IPv4 and one for IPv6."`

	keys     *authority.Keys
	notifier *authority.Notifier // nil: nobody is told
}

// apply adds what the flags say to the options of an authority.
func (f *transferFlags) apply(log *slog.Logger, o *authority.Options) error {
	if f.TransfersMax < 1 {
		return fmt.Errorf("--transfers-max %d: expected 1 or more", f.TransfersMax)
	}
	if f.IXFRHistory < 0 {
		return fmt.Errorf("--ixfr-history %d: expected 0 or more", f.IXFRHistory)
	}
	keys, err := f.readKeys(log)
	if err != nil {
		return err
	}
	f.keys = new(authority.Keys)
	f.keys.Set(keys)
	for _, who := range f.TransferTo {
		if err := f.knows(who.Key); err != nil {
			return fmt.Errorf("--transfer-to %s: %w", who, err)
		}
	}
	for _, s := range f.Notify {
		if err := f.knows(s.Key); err != nil {
			return fmt.Errorf("--notify %s: %w", s.Secondary, err)
		}
	}
	o.Keys = f.keys
	o.Transfers = authority.TransferOptions{
		Allow: f.TransferTo, Most: f.TransfersMax, MostEach: max(1, f.TransfersMax/10),
		Ended: func(r authority.TransferReport) { r.Log(log, r.Zone) },
	}
	return nil
}

// knows refuses the name of a key that no file has.
func (f *transferFlags) knows(name dns.Name) error {
	if name.IsZero() {
		return nil
	}
	if _, ok := f.keys.Find(name); !ok {
		return hint(fmt.Errorf("there is no key %s", name), "--tsig-key FILE names a file that has it")
	}
	return nil
}

// readKeys reads all files of keys.
func (f *transferFlags) readKeys(log *slog.Logger) ([]dns.TSIGKey, error) {
	var all []dns.TSIGKey
	seen := make(map[dns.Name]string)
	for _, path := range f.TSIGKey {
		keys, open, err := authority.ReadKeys(path)
		if err != nil {
			return nil, hint(err, "\"tsig-keygen NAME\" writes such a file")
		}
		if open {
			log.Warn("everybody on this machine can read these keys", "file", path, "hint", "chmod o-r "+path)
		}
		for _, k := range keys {
			if before, twice := seen[k.Name.Fold()]; twice {
				return nil, fmt.Errorf("key %s is in %s and in %s, expected it once", k.Name, before, path)
			}
			seen[k.Name.Fold()] = path
		}
		all = append(all, keys...)
	}
	return all, nil
}

// reload reads the keys again; bad files change nothing.
func (f *transferFlags) reload(log *slog.Logger) {
	if len(f.TSIGKey) == 0 {
		return
	}
	keys, err := f.readKeys(log)
	if err != nil {
		log.Error("TSIG keys not reloaded, the last good ones stay in use", "error", err)
		return
	}
	f.keys.Set(keys)
	log.Info("TSIG keys reloaded", "keys", len(keys))
}

// keep has the history of a zone kept if somebody may ask for it.
func (f *transferFlags) keep(z *zone.Zone) {
	if f.IXFRHistory > 0 && len(f.TransferTo) > 0 {
		z.Keep(zone.NewHistory(zone.HistoryLimits{Steps: f.IXFRHistory}))
	}
}
