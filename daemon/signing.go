package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"onoma/config"
	"onoma/dns"
	"onoma/dns/dnssec"
	"onoma/pipeline"
	"onoma/signer"
	"onoma/signer/keys"
	"onoma/signer/keystore"
	"onoma/signer/keystore/token"
	"onoma/zone"
)

// keyState is the state of a zone's keys in the database.
const keyState = "keys"

// openSigning makes what signs zones.
func (d *Daemon) openSigning(conf *config.Config) (err error) {
	if d.privates, err = d.openKeys(conf); err != nil {
		return err
	}
	d.clock = signer.NewSteady(d.o.wall, d.o.ran)
	so := signer.Options{
		Submit: d.pipe.Submit, Zone: d.pipe.Zone, Load: d.kept(keyState).load, Save: d.kept(keyState).save, Store: d.privates,
		InSync: d.inSync, Parents: d.openParents(conf), Clock: d.clock, Log: d.log,
	}
	if d.store.IsShared() {
		so.IsShared, so.Lease, so.Swap = true, d.leaseOf(signerLease), d.kept(keyState).swap
	}
	d.signer = signer.New(so)
	return nil
}

// openKeys opens the store of private keys: a folder, or the database that several servers share, where they are sealed.
func (d *Daemon) openKeys(conf *config.Config) (*keystore.Store, error) {
	seal, err := keystore.SealFrom(conf.DNSSEC.Seal, d.o.Getenv)
	if err != nil {
		return nil, fmt.Errorf("dnssec.seal: %w", err)
	}
	o := keystore.Options{Dir: conf.DNSSEC.Keys, Seal: seal}
	if o.Dir == "" {
		o.Dir = filepath.Join(conf.Data, "keys")
	}
	if len(conf.DNSSEC.Tokens) > 0 {
		d.tokens = token.NewSet(specsOf(conf.DNSSEC.Tokens))
		o.Tokens = d.tokens
	}
	if d.store.IsShared() && seal != nil {
		o.Dir, o.Blobs = "", keystore.InStore(d.store, d.rowOf)
	}
	return keystore.Open(o)
}

func specsOf(tokens []config.Token) (specs []token.Spec) {
	for _, t := range tokens {
		specs = append(specs, token.Spec{Name: t.Name, Module: t.Module, Label: t.Label, PIN: t.PIN})
	}
	return specs
}

// rowOf returns the number of a zone, whichever view it is in.
func (d *Daemon) rowOf(name dns.Name) (int64, bool) {
	if row, ok := d.pipe.Row(zone.IDOf("", name)); ok {
		return row, true
	}
	for _, v := range d.conf.Load().Views {
		if row, ok := d.pipe.Row(zone.IDOf(v.Name, name)); ok {
			return row, true
		}
	}
	return 0, false
}

// inSync says which serial number all servers of a zone have: that of this server where it has no secondaries.
func (d *Daemon) inSync(id zone.ID) (uint32, bool) {
	if d.isAlone(id) {
		if z := d.pipe.Zone(id); z != nil {
			if v := z.Latest(); v != nil {
				return v.Serial(), true
			}
		}
		return 0, false
	}
	return d.follower.InSync(id)
}

// sign has a zone signed as its settings say, or ends that. saved is what is known of its keys.
func (d *Daemon) sign(ctx context.Context, e *entry, saved []byte) {
	settings, wanted := e.signing(saved != nil)
	if wanted && saved == nil && settings.Auto && settings.Token == "" && d.conf.Load().IsKeyless() {
		wanted = false
		d.sayKeyless.Do(func() { d.log.Warn("zones are not signed", "reason", config.WhereKeys) })
	}
	if !wanted {
		d.signer.Remove(e.id)
		if err := d.pipe.Configure(e.spec()); err != nil {
			d.log.Error("a zone is signed as before", "zone", e.id, "error", err)
		}
		d.signOnline(e)
		return
	}
	if away := d.responsesOf(e); away != nil {
		settings.Offline = away
	}
	var z *signer.Zone
	var err error
	switch {
	case d.signer.Zone(e.id) != nil:
		z, err = d.signer.Add(ctx, e.id, settings)
	case saved == nil && e.plan.settings.KeysFrom != "":
		z, err = d.adopt(ctx, e, settings)
	default:
		z, err = d.signer.AddLoaded(ctx, e.id, settings, saved)
	}
	if err != nil {
		d.log.Error("a zone cannot be signed, and is not changed", "zone", e.id, "error", err)
		d.unsignable.Store(e.id, err)
		if d.signer.Zone(e.id) == nil {
			spec := e.spec()
			spec.Signer = refuser{e.id, err}
			_ = d.pipe.Configure(spec) // its error is that the zone is not there
		}
		return
	}
	d.unsignable.Delete(e.id)
	spec := e.spec()
	spec.Signer = z
	if err := d.pipe.Configure(spec); err != nil {
		d.log.Error("a zone cannot be signed", "zone", e.id, "error", err)
	}
	d.signOnline(e)
}

// specOf returns how the pipeline keeps a zone: with the signer that it has, until sign
// says otherwise, so that no change in between goes unsigned.
func (d *Daemon) specOf(e *entry) pipeline.ZoneSpec {
	spec := e.spec()
	if z := d.signer.Zone(e.id); z != nil {
		spec.Signer = z
	}
	return spec
}

// signing returns how a zone is signed; false: not at all, and it never was. hasKeys says that this server has signed it.
func (e *entry) signing(hasKeys bool) (signer.Settings, bool) {
	s := e.plan.settings
	k := e.kind()
	if k == fromMembers {
		return signer.Settings{}, false
	}
	isAuto := s.DNSSEC == config.PolicyAuto
	isOff := s.DNSSEC == config.PolicyOff || isAuto && (k == fromPrimary || s.Catalog.Consume != nil)
	if isOff && !hasKeys {
		return signer.Settings{}, false
	}
	out := e.plan.signing
	if e.id.Name.IsRoot() {
		out.Policy.Parent = keys.ByHand // no parent can be asked: people say which keys resolvers trust
	}
	out.Auto = isAuto
	out.New = s.New
	if isOff {
		// What was signed goes unsigned step by step, or resolvers would refuse it.
		out.Policy.Unsigned = true
	}
	return out, true
}

// policyName is the policy that a zone has, or would have.
func policyName(s *config.Settings) string {
	if s.DNSSEC == config.PolicyAuto || s.DNSSEC == config.PolicyOff {
		return config.PolicyDefault
	}
	return s.DNSSEC
}

// signingOf translates a policy.
func (p *planner) signingOf(s *config.Settings) (out signer.Settings, err error) {
	name := policyName(s)
	c, ok := p.conf.FindPolicy(name)
	if !ok {
		return out, fmt.Errorf("there is no policy %q", name)
	}
	if name == s.DNSSEC && c.Token == "" && p.conf.IsKeyless() {
		return out, fmt.Errorf("dnssec: %s: %s", s.DNSSEC, config.WhereKeys)
	}
	out.Policy, err = policyOfKeys(c)
	out.Token = c.Token
	for _, digest := range c.ZONEMD {
		switch digest {
		case "sha-384":
			out.ZONEMD = append(out.ZONEMD, dnssec.ZONEMDSHA384)
		case "sha-512":
			out.ZONEMD = append(out.ZONEMD, dnssec.ZONEMDSHA512)
		}
	}
	return out, err
}

var denialKinds = map[string]keys.Denial{
	"nsec": {Kind: keys.NSEC}, "nsec3": {Kind: keys.NSEC3}, "nsec3-opt-out": {Kind: keys.NSEC3, OptOut: true}, "compact": {Kind: keys.Compact},
}

// policyOfKeys returns a policy in the words of the key rings.
func policyOfKeys(c *config.Policy) (keys.Policy, error) {
	p := keys.Default()
	algorithm, err := dnssec.ParseAlgorithm(c.Algorithm)
	if err != nil {
		return p, fmt.Errorf("policy %s: %w", c.Name, err)
	}
	p.Name, p.Algorithm, p.Split = c.Name, algorithm, c.Keys == "split"
	if algorithm == dnssec.RSASHA256 || algorithm == dnssec.RSASHA512 {
		p.Bits = c.Bits
	}
	p.KSKLife, p.ZSKLife, p.Standby = c.KSKLife, c.ZSKLife, c.Standby
	if c.ZSKRoll == "double-signature" {
		p.ZSKRoll = keys.DoubleSignature
	}
	p.Denial = denialKinds[c.Denial]
	p.Denial.Iterations, p.Denial.SaltLength = uint16(c.Iterations), uint8(c.Salt)
	p.Validity, p.KeyValidity, p.Refresh, p.Jitter, p.Skew = c.Validity, c.KeyValidity, c.Refresh, c.Jitter, c.Skew
	p.DNSKEYTTL, p.MaxTTL, p.PublishSafety, p.RetireSafety = c.KeyTTL, c.MaxTTL, c.PublishSafety, c.RetireSafety
	if c.DS == "by-hand" {
		p.Parent = keys.ByHand
	}
	p.CDSDigests = nil
	for _, digest := range c.CDS {
		switch digest {
		case "sha-256":
			p.CDSDigests = append(p.CDSDigests, dnssec.DigestSHA256)
		case "sha-384":
			p.CDSDigests = append(p.CDSDigests, dnssec.DigestSHA384)
		case "none":
			p.NoCDS = true
		}
	}
	return p, p.Check()
}

// now is the time that signatures go by.
func (d *Daemon) now() time.Time {
	now, _ := d.clock.Now()
	return now
}
