package config

import (
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"onoma/dns"
)

// member is a zone that is listed in a catalog.
type member struct {
	at      Pos
	catalog dns.Name
}

// check looks at a struct as a whole, once it has been read.
func (d *decoder) check(m *mapping, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *Key:
		p.At = d.at(m.node)
		d.checkKey(m, p)
	case *Remote:
		d.checkRemote(m, p)
	case *Certificate:
		if p.Cert == "" || p.Key == "" {
			d.fail(m.node, "cert and key", "a certificate is half of a pair")
		}
	case *TLS:
		d.checkTLS(m, p)
	case *Cookies:
		if !p.Enabled && (p.Required || p.Secrets != "") {
			d.fail(m.at("enabled"), "no secrets and nothing required", "cookies are off")
		}
	case *RateLimit:
		if p.Rate == 0 && p.Stream == 0 && (p.Total != 0 || len(p.Allow) > 0) {
			d.fail(m.node, "a rate, or stream", "rate-limit limits nothing")
		}
	case *Policy:
		d.checkPolicy(m, p)
	case *Token:
		if p.Module == "" || p.Label == "" {
			d.fail(m.node, "module and label", "token %s is half described", shorten(p.Name))
		}
	case *View:
		d.checkView(m, p)
	case *Resolver:
		d.checkResolver(m, p)
	case *ResolverCache:
		d.checkResolverCache(m, p)
	case *Route:
		d.checkRoute(m, p)
	case *ResolverPolicy:
		d.checkLocalData(m, dns.Name{}, "local-data", p.LocalData)
	case *PolicyZone:
		d.checkPolicyZone(m, p)
	case *BlockList:
		d.checkBlockList(m, p)
	case *PolicyView:
		d.checkPolicyView(m, p)
	case *Consume:
		if p.Template == "" && len(p.Groups) == 0 {
			d.fail(m.node, "a template, or groups with templates", "consume does not say what members are like")
		}
	case *Catalog:
		if p.Produce && p.Consume != nil {
			d.fail(m.at("produce"), "one of them", "catalog has both produce and consume")
		}
	}
}

func (d *decoder) checkKey(m *mapping, k *Key) {
	switch {
	case k.File == "" && k.Secret.IsZero():
		d.fail(m.node, "secret or file", "key %s has no secret", k.Name)
	case k.File != "" && !k.Secret.IsZero():
		d.fail(m.at("secret"), "one of them", "key %s has both secret and file", k.Name)
	}
}

func (d *decoder) checkRemote(m *mapping, r *Remote) {
	if len(r.Address) == 0 {
		d.fail(m.node, "address", "server %s has no address", shorten(r.Name))
	}
	if a, err := parseAddress(r.Name); err == nil && a.IsValid() || strings.ContainsAny(r.Name, "+ ") {
		d.fail(m.node, "a word such as ns2", "a server cannot be called %q", shorten(r.Name))
	}
	port := uint16(portDNS)
	if r.Transport != TransportTCP {
		port = portTLS
	} else if m.has("tls") {
		d.fail(m.at("tls"), "transport: tls or quic, too", "server %s has settings of TLS and is spoken to by TCP", shorten(r.Name))
	}
	for i, a := range r.Address {
		r.Address[i] = withPort(a, port)
	}
	t := &r.TLS
	if (t.Cert == "") != (t.Key == "") || t.Mode == TLSMutual && t.Cert == "" {
		d.fail(m.at("tls"), "cert and key", "server %s: half of our own certificate is missing", shorten(r.Name))
	}
	if r.Transport != TransportTCP && t.Mode != TLSOpportunistic && t.Name == "" && t.CA == "" && len(t.Pin) == 0 {
		d.fail(m.node, "tls with name, ca or pin, or mode: opportunistic", "nothing says what the certificate of server %s has to be like", shorten(r.Name))
	}
}

func (d *decoder) checkTLS(m *mapping, t *TLS) {
	ways := 0
	for _, given := range []bool{len(t.Certificates) > 0, t.SelfSigned, len(t.ACME.Domains) > 0} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		d.fail(m.node, "one of them", "tls has several of certificates, acme and self-signed")
	}
}

func (d *decoder) checkView(m *mapping, v *View) {
	if v.Name == "" {
		d.fail(m.node, "a word such as inside", "a view has no name")
	}
	if !m.has("match") && !m.has("to") {
		d.fail(m.node, "match or to; match: any for everybody", "view %s does not say for whom it is", shorten(v.Name))
	}
	d.withoutTLS(m, "match", v.Match, "view "+shorten(v.Name))
	for i := range v.Zones {
		v.Zones[i].View = v.Name
	}
}

// checkZone tells of settings that contradict one another.
// withoutTLS refuses lists that speak of certificates where nobody looks at them:
// those would let in everybody who has the rest.
func (d *decoder) withoutTLS(m *mapping, key string, list Access, what string) {
	if slices.ContainsFunc(list, func(w Who) bool { return w.TLS != "" }) {
		d.fail(m.at(key), "addresses and keys there", "%s: %s cannot go by certificates (tls:NAME)", what, key)
	}
}

func (d *decoder) checkZone(m *mapping, z *Zone) {
	name := z.Name.String()
	fail := func(key, want, what string) { d.fail(m.at(key), want, "zone %s %s", name, what) }
	changes := len(z.Update) > 0
	d.withoutTLS(m, "allow-notify", z.AllowNotify, "zone "+name)
	switch {
	case z.File != "" && len(z.Primaries) > 0:
		fail("file", "one of them", "has both a file and primaries")
	case z.File != "" && changes && z.FileMode != FileInitial:
		fail("update", "file-mode: initial, which reads the file only as the first content of the zone, or one of the two",
			"is changed both by its file and by UPDATE, and each would undo the other's changes")
	case z.File != "" && (z.Children.DS || z.Children.CSYNC) && z.FileMode != FileInitial:
		fail("children", "file-mode: initial, which reads the file only as the first content of the zone",
			"is changed both by its file and by its children, and the file would undo what they have asked for")
	case z.WriteBack && (z.File == "" || z.FileMode != FileInitial):
		fail("write-back", "a file with file-mode: initial", "is written to a file that is not the server's to write")
	case len(z.Primaries) > 0 && changes && !z.ForwardUpdates:
		fail("update", "forward-updates: true, which sends them on to a primary, or no update",
			"is a copy of its primaries' and cannot take UPDATE itself")
	case z.ForwardUpdates && len(z.Primaries) == 0:
		fail("forward-updates", "primaries", "has nobody to forward updates to")
	case z.Catalog.Produce && (z.File != "" || len(z.Primaries) > 0 || changes):
		fail("catalog", "neither file nor primaries nor update", "is made up by the server, as a catalog")
	case z.Group != "" && z.MemberOf.IsZero():
		fail("group", "member-of", "has a group and no catalog")
	case z.KeysFrom != "" && z.DNSSEC == PolicyOff:
		fail("keys-from", "dnssec with a policy", "has keys to sign with, and is not signed by this server")
	case len(z.Signers) > 0 && (z.DNSSEC == PolicyOff || z.DNSSEC == PolicyAuto && len(z.Primaries) > 0):
		fail("signers", "dnssec with a policy", "has other signers, and is not signed by this server")
	case slices.ContainsFunc(z.Signers, func(r *Remote) bool { return r.Transport == TransportQUIC }):
		fail("signers", "transport: tcp or tls", "has a signer that is to be asked over QUIC")
	case z.SignersUpdate && slices.ContainsFunc(z.Signers, func(r *Remote) bool { return r.Key.IsZero() }):
		fail("signers-update", "servers with a key", "has a signer that is to be changed without a TSIG key")
	case !z.NewOwner.IsZero() && z.MemberOf.IsZero():
		fail("new-owner", "member-of", "has a new owner and no catalog")
	}
	d.checkTimes(m, z)
}

func (d *decoder) checkTimes(m *mapping, z *Zone) {
	for _, r := range []struct {
		key         string
		least, most int64
	}{
		{"refresh-min", int64(z.RefreshMin), int64(z.RefreshMax)},
		{"retry-min", int64(z.RetryMin), int64(z.RetryMax)},
		{"expire-min", int64(z.ExpireMin), int64(z.ExpireMax)},
	} {
		if r.least > r.most {
			d.fail(m.at(r.key), "at most that", "zone %s: %s is longer than %s", z.Name, r.key, strings.Replace(r.key, "min", "max", 1))
		}
	}
}

// finish looks at the configuration as a whole.
func (d *decoder) finish() {
	c := d.c
	d.finishStore()
	if c.TLS.ACME.Dir == "" {
		c.TLS.ACME.Dir = filepath.Join(c.Data, "acme")
	}
	if c.Dnstap.Identity == "" && c.Dnstap.To != "" {
		c.Dnstap.Identity = c.Server.NSID
	}
	catalogs := make(map[dns.Name]bool)
	d.finishZones(c.Zones, catalogs)
	views := make(map[string]bool)
	for i := range c.Views {
		if views[c.Views[i].Name] {
			d.failAt(d.setting("views", 0), "it in one file", "view %s is given twice", c.Views[i].Name)
		}
		views[c.Views[i].Name] = true
		d.finishZones(c.Views[i].Zones, catalogs)
	}
	for _, m := range d.members {
		if !catalogs[m.catalog.Fold()] {
			d.failAt(m.at, "a zone with catalog: {produce: true}", "member-of: %s is no catalog of this server", m.catalog)
		}
	}
	d.checkListen()
}

// finishZones refuses what is there twice, and writes names into paths.
func (d *decoder) finishZones(zones []Zone, catalogs map[dns.Name]bool) {
	seen := make(map[dns.Name]Pos, len(zones))
	for i := range zones {
		z := &zones[i]
		if first, twice := seen[z.Name.Fold()]; twice {
			d.failAt(z.At, "it once; it is at "+first.String()+" already", "zone %s is given twice", z.Name)
		}
		seen[z.Name.Fold()] = z.At
		z.File = ExpandFile(z.File, z.Name, z.View)
		if z.Catalog.Produce {
			catalogs[z.Name.Fold()] = true
		}
	}
}

// finishStore makes the whole of the short forms.
func (d *decoder) finishStore() {
	c := d.c
	path, isFile := strings.CutPrefix(c.Store, "sqlite:")
	switch {
	case c.Store == "sqlite":
		c.Store = "sqlite:" + filepath.Join(c.Data, "onoma.db")
	case isFile && path != "":
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(c.Files[0]), path)
		}
		c.Store = "sqlite:" + path
	case strings.HasPrefix(c.Store, "postgres://"), strings.HasPrefix(c.Store, "postgresql://"):
	default:
		d.failAt(d.setting("store", 0), "sqlite, sqlite:PATH or postgres://USER@HOST/DATABASE", "store: there is no database of that kind")
	}
}

// checkListen refuses what two listeners cannot share, and listeners that have no certificate.
func (d *decoder) checkListen() {
	c := d.c
	type socket struct {
		scheme string
		addr   netip.AddrPort
	}
	if len(d.top["listen"]) == 0 && len(c.Resolver.Listen) > 0 && len(zonesOf(c)) == 0 {
		c.Listen = nil
	}
	seen := make(map[socket]bool)
	for i, e := range slices.Concat(c.Listen, c.Resolver.Listen) {
		at := d.setting("listen", i)
		if i >= len(c.Listen) {
			at = d.setting("resolver", 0)
		}
		s := socket{e.Scheme, e.Addr}
		if seen[s] && e.Scheme != "xdp" && e.Addr.Port() != 0 {
			d.failAt(at, "it once", "listen: %s is given twice", e.Text)
		}
		seen[s] = true
		encrypted := e.Scheme != "" && e.Scheme != "xdp"
		if encrypted && len(c.TLS.Certificates)+len(c.TLS.ACME.Domains) == 0 && !c.TLS.SelfSigned {
			d.failAt(at, "tls with certificates, acme, or self-signed: true", "listen: %s needs a certificate", e.Text)
		}
		if len(c.Server.ProxyFrom) > 0 && (e.Scheme == "quic" || e.Scheme == "xdp") {
			d.failAt(at, "no proxy-from", "listen: %s has no place for a PROXY header", e.Text)
		}
	}
}
